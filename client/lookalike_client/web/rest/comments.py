"""What the contract's files say of its messages, fields and calls."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_COMMENT = re.compile(r"\s*// ?(.*)")
_BLOCK = re.compile(r"(?:message|enum|service) (\w+) \{")
_MEMBER = re.compile(r"(?:rpc (\w+)\(|(?:(?:optional|repeated) )?[\w.]+ (\w+) = \d+|(\w+) = \d+)")


@cache
def comments() -> dict[str, str]:
    """Return comments by "Message", "Message.field" and "Service.Call".

    The files of the contract are formatted: a block begins and ends in the first column.
    """
    found: dict[str, str] = {}
    for file in (resources.files("lookalike") / "v1").iterdir():
        if file.name.endswith(".proto"):
            _read(file.read_text(encoding="utf-8"), found)
    return found


def _read(text: str, found: dict[str, str]) -> None:
    block, said = "", list[str]()
    for line in text.splitlines():
        comment = _COMMENT.fullmatch(line)
        if comment is not None:
            said.append(comment[1])
            continue
        stripped = line.strip()
        opened = _BLOCK.match(line)
        member = _MEMBER.match(stripped)
        if opened is not None:
            block = opened[1]
            found[block] = " ".join(said)
        elif member is not None and block:
            name = next(filter(None, member.groups()))
            found[f"{block}.{name}"] = " ".join(said)
        said = []
