"""Expressions that mean harm, or nothing at all: each is refused with a position."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.wire.errors import FilterInvalid
from search_service.filters.text import parse_filter


@pytest.mark.timeout(20)
def test_absurd_depth_is_refused_at_once() -> None:
    for text in ("(" * 100_000, "not " * 25_000 + "a=1", "a = [" * 100_000, "any(a, " * 50_000):
        with pytest.raises(FilterInvalid, match=r"line 1, column 4097: .*4,096 characters"):
            parse_filter(text)
    for text in (
        "(" * 4_096,
        "(" * 2_040 + "a=1" + ")" * 2_040,
        "not " * 1_000 + "a=1",
        "any(a, " * 580,
    ):
        with pytest.raises(FilterInvalid, match=r"line 1, column \d+"):
            parse_filter(text)


_SEEDS = [
    "a = 1; drop table items",
    "' or 1=1 --",
    '" or ""="',
    "a = 1 union select * from items",
    "__import__('os').system('id')",
    "a = {{7*7}}",
    "${jndi:ldap://x}",
    "a = 'x'/**/or/**/1",
    "a = $(id)",
    "a = 1 || true",
    "a like '%'",
    "a == 1",
    "a =~ /x/",
    "{'$gt': ''}",
    "lambda: 0",
    "a = 1\x00",
    "a = 'x\x1b[31m'",
    "a = \u202e1",
    "\ufeffa = 1",
    "a = '\x85'",
    "a = '\ud800'",
    "a\u2028= 1",
    "((((((((((((((((((((",
    "not " * 30,
    "a in [" * 40,
    "a matches '(((((a*)*)*)*)*$'; x",
    "a matches '[[:alpha:'",
    "a matches '(?P<n>x)(?P=n)'",
    "a contains '' or true",
    "any(any(any(a",
    "any(a, b = 1",
]


def _hostile(count: int) -> list[str]:
    """Seeds as they are, cut, joined, nested, and strewn with control characters."""
    rng = random.Random(11)
    texts = list(_SEEDS)
    controls = [chr(code) for code in (*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0))]
    while len(texts) < count:
        seed = rng.choice(_SEEDS)
        at = rng.randrange(len(seed) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            texts.append(seed[:at] + rng.choice(controls) + seed[at:])
        elif kind == 1:
            texts.append("(" * rng.randrange(17, 4_000) + seed)
        elif kind == 2:
            texts.append(f"category = 'x' {rng.choice(controls)} and price < 5")
        else:
            texts.append(seed + " " + rng.choice(_SEEDS))
    return texts


def test_five_hundred_hostile_expressions_are_refused_with_a_position() -> None:
    texts = _hostile(500)
    assert len(texts) == 500
    for text in texts:
        with pytest.raises(FilterInvalid) as caught:
            parse_filter(text)
        match = re.match(r"line (\d+), column (\d+): ", caught.value.message)
        assert match is not None, (text, caught.value.message)
        lines = text.split("\n")
        assert 1 <= int(match[1]) <= len(lines)
        assert 1 <= int(match[2]) <= len(lines[int(match[1]) - 1]) + 1
        assert caught.value.message.isprintable(), caught.value.message


def _mistake_in(text: str) -> str | None:
    try:
        parse_filter(text)
    except FilterInvalid as error:
        return error.message
    return None


@given(st.text())
def test_any_text_is_a_filter_or_filter_invalid(text: str) -> None:
    assert (_mistake_in(text) or "line ").startswith("line ")


@given(st.text(alphabet="ab=<>!()[]'\"`@.,-+0123 \n\\andortinexs", max_size=40))
def test_any_text_of_the_syntax_s_own_characters_too(text: str) -> None:
    assert (_mistake_in(text) or "line ").startswith("line ")


_PIECES = (
    *("a", "b.c", "any(", "(", ")", ",", "and", "or", "not", "contains", "icontains", "matches"),
    *("iequals", "startswith", "endswith", "=", "<", "in", "[", "]", "1", "'x'", "'(a|b)+$'"),
    *("'('", "'\\xe9'", "@2024-01-01", "exists(", "true", "any", "`any`"),
)


@given(st.lists(st.sampled_from(_PIECES), max_size=14).map(" ".join))
def test_any_row_of_words_too(text: str) -> None:
    assert (_mistake_in(text) or "line ").startswith("line ")
