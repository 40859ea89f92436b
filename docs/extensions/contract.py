"""Fills pages with the contract: `<!-- contract: search.proto -->` becomes what that file declares.

Every file of the contract has a page; one that has none is a warning, which `make docs`
takes for an error.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from extensions.descriptors import (
    ContractFile,
    Enumeration,
    Field,
    Message,
    Service,
    read_contract,
)

_PACKAGE_DIR = "lookalike/v1"
_MARKER = re.compile(r"<!-- contract: (\S+) -->")
_MARKDOWN = re.compile(r"([\\*_<>\[\]$|])")
_log = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build."""
    app.connect("source-read", _fill)
    app.connect("env-check-consistency", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


@functools.cache
def _contract(root: Path) -> dict[str, ContractFile]:
    return read_contract(root / "protos", _PACKAGE_DIR)


def _fill(app: Sphinx, docname: str, source: list[str]) -> None:
    files = _contract(Path(app.confdir).parent)
    for name in _MARKER.findall(source[0]):
        if name not in files:
            _log.warning("the contract has no file %s", name, location=docname)
            continue
        source[0] = source[0].replace(f"<!-- contract: {name} -->", "\n".join(_page(files[name])))


def _check(app: Sphinx, env: BuildEnvironment) -> None:
    files = _contract(Path(app.confdir).parent)
    for name in sorted(files.keys() - _shown(app, env.found_docs).keys()):
        _log.warning("no page shows %s of the contract", name)


def _shown(app: Sphinx, docnames: set[str]) -> dict[str, str]:
    """Return the page that shows each file of the contract."""
    return {
        name: docname
        for docname in docnames
        for name in _MARKER.findall(Path(app.env.doc2path(docname)).read_text(encoding="utf-8"))
    }


def _page(file: ContractFile) -> Iterator[str]:
    for service in file.services:
        yield from _service(file.package, service)
    for message in file.messages:
        yield from _message(file.package, message)
    for enumeration in file.enumerations:
        yield from _enumeration(file.package, enumeration)


def _service(package: str, service: Service) -> Iterator[str]:
    yield from _heading(2, package, service.name, service.comment)
    for method in service.methods:
        yield from _heading(3, f"{package}.{service.name}", method.name, method.comment)
        takes = ("stream of " if method.request_stream else "") + _type(method.request)
        gives = ("stream of " if method.response_stream else "") + _type(method.response)
        yield f"{takes} → {gives}\n"


def _message(package: str, message: Message) -> Iterator[str]:
    yield from _heading(2, package, message.name, message.comment)
    if not message.fields:
        yield "It has no fields.\n"
        return
    yield from ("| field | type | meaning |", "|---|---|---|")
    told: set[str] = set()
    for field in message.fields:
        if field.group and field.group not in told:
            told.add(field.group)
            yield (f"| one of `{field.group}` | | {_inline(message.group_comments[field.group])} |")
        yield _row(field)
    yield ""


def _row(field: Field) -> str:
    label = f"{field.label} " if field.label else ""
    name = f"`{field.name}` = {field.number}"
    # Members of a oneof are set in, under its own row.
    shown = f"· {name}" if field.group else name
    return f"| {shown} | {label}{_type(field.type_name)} | {_inline(field.comment)} |"


def _enumeration(package: str, enumeration: Enumeration) -> Iterator[str]:
    yield from _heading(2, package, enumeration.name, enumeration.comment)
    yield from ("| value | meaning |", "|---|---|")
    for value in enumeration.values:
        yield f"| `{value.name}` = {value.number} | {_inline(value.comment)} |"
    yield ""


def _heading(level: int, scope: str, name: str, comment: str) -> Iterator[str]:
    yield f"({scope}.{name})="
    yield f"{'#' * level} {name}\n"
    for paragraph in comment.split("\n\n"):
        yield f"{_inline(paragraph)}\n"


def _type(name: str) -> str:
    """Return a type; one of the contract's own leads to where it is declared."""
    if name.startswith("lookalike."):
        return f"[`{name.rpartition('.')[2]}`](#{name})"
    return f"`{name}`"


def _inline(comment: str) -> str:
    """Return a comment as a line of Markdown that shows what was written."""
    text = " ".join(comment.split())
    parts = text.split("`")  # code stands at the odd places
    parts[::2] = [_MARKDOWN.sub(r"\\\1", part) for part in parts[::2]]
    return "`".join(part.replace("|", r"\|") if at % 2 else part for at, part in enumerate(parts))
