"""What client/examples and the page about it say of the contract, and of each other."""

import re
import textwrap

from lookalike_client.calls import idempotent_calls
from service_config import PATH, text
from tests.documented.blocks import page_blocks
from tests.sources import ROOT

PAGE = ROOT / "docs" / "guide" / "other-languages.md"


def test_the_service_config_names_what_the_contract_lets_repeat() -> None:
    assert ("lookalike.v1.SearchService", "Search") in idempotent_calls()
    assert PATH.read_text(encoding="utf-8") == text()  # make proto


def test_what_the_page_shows_of_an_example_stands_there() -> None:
    shown = [
        (match[1], block.text)
        for block in page_blocks(PAGE)
        if (match := re.fullmatch(r"a part of (\S+)", block.detail))
    ]
    missing = [
        path
        for path, block in shown
        if textwrap.dedent(block) not in textwrap.dedent((ROOT / path).read_text("utf-8"))
        and textwrap.indent(block, "    ") not in (ROOT / path).read_text("utf-8")
    ]

    assert len(shown) == 4
    assert missing == []


def test_the_packages_for_java_are_the_same_wherever_they_are_named() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    build = (ROOT / "client" / "examples" / "java" / "build.sh").read_text(encoding="utf-8")
    listed = re.search(r"^JAVA_PACKAGES := (.*)$", makefile, re.MULTILINE)
    assert listed is not None

    assert [name for name in listed[1].split() if name not in build] == []
