"""Makes the blocking client from the asyncio one.

    python client/unasync.py            writes lookalike_client/_sync
    python client/unasync.py --check    fails if that is not what it would write

Every file of `lookalike_client/_async` becomes a file of `_sync`: the rules below are
applied to its text, and ruff puts the imports and the line breaks in order. A rule
that changes nothing is an error, so that none outlives its use.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "lookalike_client"
SOURCE, TARGET = PACKAGE / "_async", PACKAGE / "_sync"
HEADER = "# Made by client/unasync.py from _async/{name}: change that file, then `make unasync`.\n"
# Said to ruff because the files that it sorts imports of may not be there yet.
_OURS = 'lint.isort.known-first-party = ["lookalike", "lookalike_client"]'

RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\ban async context manager\b", "a context manager"),
        (r"\basync (def|for|with)\b", r"\1"),
        (r"\bawait ", ""),
        (r"\bAsync(?=[A-Z])", ""),
        (r"\b__a(enter|exit)__\b", r"__\1__"),
        (r"\b_async\b", "_sync"),
        (r"\bgrpc\.aio\.", "grpc."),
        (r"\baio_channel\b", "sync_channel"),
        (r"\btasks\b", "threads"),
        (r"\basyncio client\b", "blocking client"),
        (r"\bto be used on one event loop\b", "safe to share between threads"),
    )
)


def main(arguments: list[str]) -> int:
    """Write or check the blocking half; return the exit code."""
    made = make()
    present = {path.name: path.read_text() for path in TARGET.glob("*.py")}
    stale = sorted(
        name for name in made.keys() | present.keys() if made.get(name) != present.get(name)
    )
    if arguments == ["--check"]:
        for name in stale:
            sys.stderr.write(f"{TARGET / name} is not what _async says: run `make unasync`\n")
        return 1 if stale else 0
    if arguments:
        sys.stderr.write("usage: unasync.py [--check]\n")
        return 2
    for name in stale:
        if name in made:
            (TARGET / name).write_text(made[name])
        else:
            (TARGET / name).unlink()
    return 0


def make() -> dict[str, str]:
    """Return the text of each file of the blocking half, by name.

    Raises:
        ValueError: a rule changed nothing.
    """
    texts = {path.name: path.read_text() for path in sorted(SOURCE.glob("*.py"))}
    for pattern, replacement in RULES:
        replaced = {name: pattern.subn(replacement, text) for name, text in texts.items()}
        if not any(count for _, count in replaced.values()):
            raise ValueError(f"the rule {pattern.pattern!r} changes nothing: remove it")
        texts = {name: text for name, (text, _) in replaced.items()}
    return {name: _tidy(name, HEADER.format(name=name) + text) for name, text in texts.items()}


def _tidy(name: str, text: str) -> str:
    """Return `text` with imports and line breaks as ruff wants them."""
    path = ["--quiet", "--stdin-filename", str(TARGET / name), "-"]
    for command in (["check", "--select", "I", "--fix", "--config", _OURS], ["format"]):
        ruff = [sys.executable, "-m", "ruff", *command, *path]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
