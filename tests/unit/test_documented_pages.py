"""README.md and docs/: each block can be run or says why not, and what they name is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from lookalike_client.cli.main import cli
from tests.documented.blocks import PAGES, ROOT, Kind, PageUnclear, blocks, page_blocks
from tests.documented.runner import SnippetFailed, check_commands

PAGE = Path("page.md")
MOST_LINES_OF_README = 130


def _inline_code(page: Path) -> Iterator[str]:
    """The code in the text of a page, such as `lookalike status`."""
    for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            if child.type == "code_inline":
                yield " ".join(child.content.split())


def _named_commands(page: Path) -> Iterator[tuple[click.Command, list[str]]]:
    """The commands that the text of a page names, each with the words that follow it."""
    for code in _inline_code(page):
        words = code.split()
        if words[0] != "lookalike" or len(words) == 1 or not words[1].islower():
            continue
        group: click.Command = cli
        rest = words[1:]
        while isinstance(group, click.Group) and rest and rest[0] in group.commands:
            group = group.commands[rest.pop(0)]
        assert group is not cli, f"{page}: there is no command {code!r}"
        yield group, rest


def test_every_block_is_run_or_says_why_not() -> None:
    found = [block for page in PAGES for block in page_blocks(page)]

    assert {block.kind for block in found} == set(Kind)
    assert all(block.detail for block in found if block.kind is Kind.NOT_RUN)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_LINES_OF_README


def test_readme_shows_the_command_line_python_and_another_language() -> None:
    kinds = [block.kind for block in page_blocks(ROOT / "README.md")]

    assert {Kind.SHELL, Kind.PYTHON, Kind.NODE} <= set(kinds)


def test_the_links_of_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "README.md").read_text())

    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_text_names_only_options_that_are_there(page: Path) -> None:
    for command, rest in _named_commands(page):
        options = {name for each in command.params for name in each.opts}

        assert [word for word in rest if word.startswith("-") and word not in options] == []


def test_every_command_is_shown() -> None:
    assert isinstance(cli, click.Group)
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = set(re.findall(r"lookalike ([a-z-]+)", text))

    assert sorted(set(cli.commands) - shown) == []
    assert ".. click:: lookalike_client.cli.main:cli" in text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```text\nwhat is this\n```\n", "needs a comment"),
        ("```\nwhat is this\n```\n", "needs a comment"),
        ("    lookalike status\n", "without a fence"),
        ("<!-- not run -->\n```bash\nlookalike status\n```\n", "say more"),
        ("<!-- skipped: later -->\n```bash\nlookalike status\n```\n", "unknown comment"),
        ("```{code-block} bash\nlookalike status\n```\n", "plain fence"),
    ],
)
def test_a_block_that_nobody_runs_is_found(text: str, complaint: str) -> None:
    with pytest.raises(PageUnclear, match=complaint):
        blocks(text, PAGE)


def test_a_comment_counts_for_the_next_block_alone() -> None:
    text = "<!-- not run: slow -->\n```bash\nmake test\n```\n\n```bash\nlookalike status\n```\n"

    assert [block.kind for block in blocks(text, PAGE)] == [Kind.NOT_RUN, Kind.SHELL]


@pytest.mark.parametrize(
    "command",
    ["make dmeo", "python -m search_service --dta d", "lookalike up --date d"],
)
def test_what_is_not_run_is_checked_as_far_as_possible(command: str) -> None:
    (block,) = blocks(f"<!-- keeps running -->\n```bash\n{command}\n```\n", PAGE)

    with pytest.raises(SnippetFailed, match=r"there is no option|make has no target"):
        check_commands(block)
