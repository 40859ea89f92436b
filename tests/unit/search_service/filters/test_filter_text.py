"""The text syntax: what it means, where it is wrong, how it is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.wire.errors import FilterInvalid
from search_service.domain.conditions import (
    AllOf,
    AnyElement,
    AnyOf,
    Equals,
    Exists,
    Filter,
    In,
    Instant,
    NoneOf,
    Prefix,
    Range,
    Text,
    TextMatch,
)
from search_service.filters.paths import parse_path
from search_service.filters.text import parse_filter
from tests.unit.search_service.filters.printing import format_filter, format_path
from tests.unit.search_service.filters.reference import meets
from tests.unit.search_service.filters.strategies import filters, metadata

A, B, C = Exists(("a",)), Exists(("b",)), Exists(("c",))

MEANINGS: list[tuple[str, Filter]] = [
    ('a = "x"', Equals(("a",), "x")),
    ("a = 'it\\'s'", Equals(("a",), "it's")),
    ('a = "tab\\t\\u00e9\\ud83d\\ude00\\/"', Equals(("a",), "tab\té\U0001f600/")),
    ("a=-1.5e2", Equals(("a",), -150.0)),
    ("a = .5", Equals(("a",), 0.5)),
    ("a = TRUE", Equals(("a",), True)),
    ("a != false", NoneOf(Equals(("a",), False))),
    ("camera.model = 'x'", Equals(("camera", "model"), "x")),
    ("`f.number`.`a``b` < 2", Range(("f.number", "a`b"), less_than=2.0)),
    ("`and` <= 2", Range(("and",), at_most=2.0)),
    ("on-sale > 2", Range(("on-sale",), greater_than=2.0)),
    ("größe >= 'm'", Range(("größe",), at_least="m")),
    ("1 <= a < 5", Range(("a",), at_least=1.0, less_than=5.0)),
    ("'a' < a <= 'b'", Range(("a",), greater_than="a", at_most="b")),
    ("a in [1, 'x', true, @1970-01-01]", In(("a",), (1.0, "x", True, Instant(0)))),
    ("a in []", In(("a",), ())),
    ("a not in ['x']", NoneOf(In(("a",), ("x",)))),
    ("not a in ['x']", NoneOf(In(("a",), ("x",)))),
    ("taken >= @1970-01-01T00:00:01.5Z", Range(("taken",), at_least=Instant(1_500_000))),
    ("taken = @1970-01-01T01:00:00+01:00", Equals(("taken",), Instant(0))),
    ('name startswith "ab"', Prefix(("name",), "ab")),
    ("a contains 'x'", Text(("a",), TextMatch.CONTAINS, "x")),
    ("a ICONTAINS 'É'", Text(("a",), TextMatch.CONTAINS, "É", ignore_case=True)),
    ("a endswith 'x'", Text(("a",), TextMatch.ENDS_WITH, "x")),
    ("a iendswith 'x'", Text(("a",), TextMatch.ENDS_WITH, "x", ignore_case=True)),
    ("a istartswith 'x'", Text(("a",), TextMatch.STARTS_WITH, "x", ignore_case=True)),
    ("a iequals ''", Text(("a",), TextMatch.EQUALS, "", ignore_case=True)),
    ("a.b matches '^x\\\\d+$'", Text(("a", "b"), TextMatch.REGEX, "^x\\d+$")),
    ("not a contains 'x'", NoneOf(Text(("a",), TextMatch.CONTAINS, "x"))),
    ("any(a, exists(b))", AnyElement(("a",), B)),
    (
        "ANY (a.`x y`, exists(a) and not any(b, exists(c)))",
        AnyElement(("a", "x y"), AllOf((A, NoneOf(AnyElement(("b",), C))))),
    ),
    # Words that came later are still fields where a field can stand.
    (
        "any = 1 and any.matches = 2",
        AllOf((Equals(("any",), 1.0), Equals(("any", "matches"), 2.0))),
    ),
    ("contains contains 'x'", Text(("contains",), TextMatch.CONTAINS, "x")),
    ("exists(iequals)", Exists(("iequals",))),
    ("exists(a.b)", Exists(("a", "b"))),
    ("true", AllOf(())),
    ("false", AnyOf(())),
    ("exists(a) or exists(b) and exists(c)", AnyOf((A, AllOf((B, C))))),
    ("(exists(a) or exists(b)) and exists(c)", AllOf((AnyOf((A, B)), C))),
    ("not exists(a) and exists(b)", AllOf((NoneOf(A), B))),
    ("EXISTS(a) AND\n\tNOT (exists(b) OR exists(c))", AllOf((A, NoneOf(AnyOf((B, C)))))),
    ("exists(a) and exists(b) and exists(c)", AllOf((A, B, C))),
    ("android = 1 and orange = 2", AllOf((Equals(("android",), 1.0), Equals(("orange",), 2.0)))),
]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS)
def test_an_expression_means(text: str, meaning: Filter) -> None:
    assert parse_filter(text) == meaning


MISTAKES = [
    ("", 1, 1, "expected a field"),
    ("a =", 1, 4, "expected a string in quotes, a number"),
    ("a = shoes", 1, 5, "expected a string in quotes"),
    ("a = 'x", 1, 5, "the closing ' is missing"),
    ("a = `x", 1, 5, "the closing ` is missing"),
    ("a = 'x\x00'", 1, 7, "control character"),
    ("a = 'x\ny'", 1, 7, "control character"),
    ("\x07a = 1", 1, 1, "found '\\x07'"),
    ("a = '\\x'", 1, 6, "unknown escape"),
    ("a = '\\ud800'", 1, 5, "surrogate"),
    ("a = 1 b = 2", 1, 7, "found 'b'"),
    ("(a = 1", 1, 7, "expected ), found the end"),
    ("a = 1)", 1, 6, "found ')'"),
    ("a = 1\nand\n  b ~ 2", 3, 5, "found '~'"),
    ("a = 12abc", 1, 5, "found '1'"),
    ("a = 1e999", 1, 5, "too large"),
    ("a >= 9007199254740993", 1, 6, "9007199254740993 cannot be kept exactly"),
    ("a in [1, -9007199254740993]", 1, 10, "store it as text"),
    (f"a = 1{400 * '0'}", 1, 5, "cannot be kept exactly as a number; store it as text"),
    ("a = @yesterday", 1, 5, "expected @ and a date or a time"),
    ("a = @2024-13-45", 1, 5, "a date or a time, such as @2024-01-31"),
    ("a = @12:30", 1, 5, "a date or a time"),
    ("a < true", 1, 5, "found 'true'"),
    ("1 < a < 'x'", 1, 9, "one kind"),
    ("1 > a > 0", 1, 3, "found '>'"),
    ("a in ['x',]", 1, 11, "found ']'"),
    ("a in 'x'", 1, 6, "expected ["),
    ("a startswith ''", 1, 14, "must not be empty"),
    ("a startswith 3", 1, 14, "expected a string"),
    ("a.b.c.d.e.f.g.h.i = 1", 1, 17, "at most 8 keys"),
    ("a..b = 1", 1, 3, "expected a field"),
    ("and = 1", 1, 1, "and is a word of the syntax"),
    ("a.in = 1", 1, 3, "backticks"),
    ("a contains ''", 1, 12, "must not be empty"),
    ("a contains 3", 1, 12, "expected a string"),
    ("a matches '('", 1, 11, "missing )"),
    ("a matches 'x(?=y)'", 1, 11, "no pattern of RE2"),
    ("a matches ''", 1, 11, "must not be empty"),
    ("a matches '" + "x" * 513 + "'", 1, 11, "at most 512 characters"),
    ("a matches '((x{100}){100}){100}'", 1, 11, "no pattern of RE2"),
    ("a containsx 'y'", 1, 3, "contains, matches or the like"),
    ("any(a)", 1, 6, "expected a comma"),
    ("any(a, )", 1, 8, "expected a field"),
    ("any(a, b = 1", 1, 13, "found the end"),
    ("any(1, b = 1)", 1, 5, "expected a field"),
    ("a = 1; drop table items", 1, 6, "found ';'"),
    ("a = 1 -- b", 1, 7, "found '-'"),
]


@pytest.mark.parametrize(("text", "line", "column", "says"), MISTAKES)
def test_a_mistake_is_answered_with_its_position(
    text: str, line: int, column: int, says: str
) -> None:
    with pytest.raises(FilterInvalid) as caught:
        parse_filter(text)
    assert caught.value.message.startswith(f"line {line}, column {column}: ")
    assert says in caught.value.message
    assert caught.value.field == "filter.expression"


def _chain(count: int) -> str:
    return " or ".join(["a=1"] * count)


def test_every_limit_passes_at_the_limit_and_fails_one_past_it() -> None:
    text = "a = '" + "x" * (4_096 - 6) + "'"
    assert len(text) == 4_096
    parse_filter(text)
    _refused(text + " ", "at most 4,096 characters", position=4_097)
    parse_filter("(" * 16 + "a=1" + ")" * 16)
    _refused("(" * 17 + "a=1" + ")" * 17, "16 levels", position=1)
    parse_filter("not " * 15 + "a=1")
    _refused("not " * 16 + "a=1", "16 levels", position=1)
    parse_filter(_chain(255))
    _refused(_chain(256), "256 conditions", position=5)
    parse_filter(".".join("abcdefgh") + " = 1")
    parse_filter("any(a, " * 15 + "a=1" + ")" * 15)
    _refused("any(a, " * 16 + "a=1" + ")" * 16, "16 levels", position=1)


def _refused(text: str, says: str, position: int) -> None:
    with pytest.raises(FilterInvalid, match=f"line 1, column {position}: .*{says}"):
        parse_filter(text)


@settings(max_examples=200, deadline=None)
@given(filters(), st.lists(metadata(), max_size=4))
def test_what_is_written_reads_back_to_the_same_meaning(
    filter: Filter, items: list[dict[str, object]]
) -> None:
    text = format_filter(filter)
    again = parse_filter(text)
    assert format_filter(again) == text
    for item in items:
        assert meets(again, item) == meets(filter, item), text


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=8).map(tuple))
def test_paths_are_written_and_read_back(path: tuple[str, ...]) -> None:
    assert parse_path(format_path(path)) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a`b", "`a", "`a`b", "``", "x" * 2_000]
)
def test_a_path_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"character|required|keys"):
        parse_path(text)
