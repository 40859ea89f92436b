"""The fenced blocks of a page, and what its author says about each of them.

A block is run as its language says: `bash` line by line, `console` with the output that
it shows, `python` and `js` as programs. A comment right before a block says otherwise:

    <!-- not run: why -->          it cannot be run here
    <!-- keeps running -->         it starts a service that the test has started already
    <!-- exit code: N -->          its last command ends so
    <!-- file: NAME -->            what follows is put into that file
    <!-- printed -->               it is what the block before prints
    <!-- filters -->               each line is a filter of the text syntax

Other languages need one of these comments. In what is shown, `…` stands for any text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_COMMENT = re.compile(r"<!--\s*([a-z ]+?)(?::\s*(.*?))?\s*-->", re.DOTALL)
# Directives of the site's generator; it checks them itself.
_DIRECTIVE = re.compile(r"\{[\w-]+\}")
# By these a snippet would be shown without being seen here.
_HIDDEN_SNIPPETS = ("{code-block}", "{code}", "{code-cell}", "{literalinclude}")


class Kind(Enum):
    """What is done with a block."""

    SHELL = "shell"
    PYTHON = "python"
    NODE = "node"
    FILE = "file"
    PRINTED = "printed"
    FILTERS = "filters"
    SERVICE = "keeps running"
    NOT_RUN = "not run"


class PageUnclear(Exception):
    """A block of a page can neither be run nor says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `detail` is the comment's: a reason, a file's name or a code."""

    page: Path
    line: int
    language: str
    text: str
    kind: Kind
    detail: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.page}:{self.line}"


_BY_LANGUAGE = {
    "bash": Kind.SHELL,
    "console": Kind.SHELL,
    "python": Kind.PYTHON,
    "js": Kind.NODE,
}
_BY_COMMENT = {
    "not run": Kind.NOT_RUN,
    "keeps running": Kind.SERVICE,
    "file": Kind.FILE,
    "printed": Kind.PRINTED,
    "filters": Kind.FILTERS,
}
_NEEDS_DETAIL = ("not run", "file", "exit code")


def blocks(text: str, page: Path) -> list[Block]:
    """Return the blocks of a page in their order.

    Raises:
        PageUnclear: a block has neither a language that can be run nor a comment.
    """
    found = []
    comment = ("", "")
    for token in MarkdownIt().parse(text):
        line = (token.map or [0])[0] + 1
        if token.type == "html_block":
            comment = _read_comment(token.content)
            continue
        if token.type == "code_block":
            raise PageUnclear(f"{page}:{line}: a block without a fence")
        if token.type == "fence":
            block = _block(page, line, token.info.strip(), token.content, comment)
            if block is not None:
                found.append(block)
        comment = ("", "")
    return found


def page_blocks(page: Path) -> list[Block]:
    """Return the blocks of a page of this repository.

    Raises:
        PageUnclear: as in `blocks`.
    """
    return blocks(page.read_text(encoding="utf-8"), page.relative_to(ROOT))


def _read_comment(html: str) -> tuple[str, str]:
    match = _COMMENT.fullmatch(html.strip())
    return (match[1], " ".join((match[2] or "").split())) if match else ("", "")


def _block(
    page: Path, line: int, language: str, text: str, comment: tuple[str, str]
) -> Block | None:
    place = f"{page}:{line}"
    word, detail = comment
    if language.startswith(_HIDDEN_SNIPPETS):
        raise PageUnclear(f"{place}: write a plain fence, so that it is run")
    if _DIRECTIVE.match(language):
        return None
    if word in _NEEDS_DETAIL and not detail:
        raise PageUnclear(f"{place}: say more after {word!r}")
    if word in _BY_COMMENT:
        return Block(page, line, language, text, _BY_COMMENT[word], detail)
    if language not in _BY_LANGUAGE:
        raise PageUnclear(f"{place}: a block of {language or 'no language'} needs a comment")
    if word not in ("", "exit code"):
        raise PageUnclear(f"{place}: unknown comment {word!r}")
    return Block(page, line, language, text, _BY_LANGUAGE[language], detail)
