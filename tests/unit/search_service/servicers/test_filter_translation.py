"""From the contract's filters to the domain's."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from lookalike.v1 import filter_pb2 as pb
from lookalike.wire.errors import FilterInvalid, Reason
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
from search_service.servicers.filter_translation import filter_from_proto


def text(value: str) -> pb.FilterValue:
    return pb.FilterValue(string_value=value)


def number(value: float) -> pb.FilterValue:
    return pb.FilterValue(number_value=value)


def moment(seconds: int, nanos: int = 0) -> pb.FilterValue:
    return pb.FilterValue(timestamp_value=Timestamp(seconds=seconds, nanos=nanos))


def exists(field: str) -> pb.Filter:
    return pb.Filter(exists=pb.FieldExists(field=field))


def field_in(field: str, *values: pb.FilterValue) -> pb.Filter:
    message = pb.Filter()
    getattr(message, "in").CopyFrom(pb.FieldIn(field=field, values=values))
    return message


def field_range(field: str, **bounds: pb.FilterValue) -> pb.Filter:
    return pb.Filter(range=pb.FieldRange(field=field, **bounds))


def all_of(*filters: pb.Filter) -> pb.Filter:
    return pb.Filter(all_of=pb.FilterList(filters=filters))


def negated(depth: int, inner: pb.Filter) -> pb.Filter:
    for _ in range(depth):
        inner = pb.Filter(none_of=inner)
    return inner


TRANSLATIONS: list[tuple[pb.Filter, Filter]] = [
    (pb.Filter(equals=pb.FieldEquals(field="a.b", value=text("x"))), Equals(("a", "b"), "x")),
    (pb.Filter(equals=pb.FieldEquals(field="`a.b`", value=number(2))), Equals(("a.b",), 2.0)),
    (
        pb.Filter(equals=pb.FieldEquals(field="a", value=pb.FilterValue(bool_value=False))),
        Equals(("a",), False),
    ),
    (field_in("a", text("x"), number(1), moment(2)), In(("a",), ("x", 1.0, Instant(2_000_000)))),
    (field_in("a"), In(("a",), ())),
    (
        field_range("a", at_least=number(0), less_than=number(9)),
        Range(("a",), at_least=0.0, less_than=9.0),
    ),
    (field_range("a", greater_than=text("")), Range(("a",), greater_than="")),
    (field_range("a", at_most=moment(-1, 999_999_999)), Range(("a",), at_most=Instant(-1))),
    (exists("with space"), Exists(("with space",))),
    (pb.Filter(prefix=pb.FieldPrefix(field="a", prefix="p")), Prefix(("a",), "p")),
    *(
        (
            pb.Filter(
                text=pb.FieldText(
                    field="a.b",
                    match=pb.TextMatch.ValueType(match.value),
                    text="x",
                    ignore_case=any_case,
                )
            ),
            Text(("a", "b"), match, "x", any_case),
        )
        for match in TextMatch
        for any_case in ((False,) if match is TextMatch.REGEX else (False, True))
    ),
    (
        pb.Filter(any_element=pb.AnyElement(field="a", filter=negated(1, exists("b")))),
        AnyElement(("a",), NoneOf(Exists(("b",)))),
    ),
    (all_of(), AllOf(())),
    (all_of(exists("a"), exists("b")), AllOf((Exists(("a",)), Exists(("b",))))),
    (pb.Filter(any_of=pb.FilterList(filters=[exists("a")])), AnyOf((Exists(("a",)),))),
    (negated(1, exists("a")), NoneOf(Exists(("a",)))),
    (pb.Filter(expression="not exists(a)"), NoneOf(Exists(("a",)))),
    (all_of(pb.Filter(expression="a = 1")), AllOf((Equals(("a",), 1.0),))),
]


@pytest.mark.parametrize(("message", "filter"), TRANSLATIONS)
def test_a_filter_is_translated(message: pb.Filter, filter: Filter) -> None:
    assert filter_from_proto(message) == filter


def test_no_filter_is_none() -> None:
    assert filter_from_proto(pb.Filter()) is None


MISTAKES: list[tuple[pb.Filter, str, str]] = [
    (all_of(exists("a"), exists("")), "filter.all_of.filters[1].exists.field", "required"),
    (all_of(pb.Filter()), "filter.all_of.filters[0]", "empty"),
    (pb.Filter(none_of=pb.Filter()), "filter.none_of", "empty"),
    (
        all_of(exists("a"), negated(1, pb.Filter(equals=pb.FieldEquals(field="a")))),
        "filter.all_of.filters[1].none_of.equals.value",
        "empty",
    ),
    (field_in("a", text("x"), pb.FilterValue()), "filter.in.values[1]", "empty"),
    (field_in("a", number(float("nan"))), "filter.in.values[0].number_value", "finite"),
    (field_in("a", number(float("inf"))), "filter.in.values[0].number_value", "finite"),
    (field_range("a"), "filter.range", "at least one"),
    (field_range("a", at_least=number(1), less_than=text("x")), "filter.range", "one kind"),
    (
        field_range("a", at_least=number(1), greater_than=number(1)),
        "filter.range.at_least",
        "not both",
    ),
    (
        field_range("a", at_most=pb.FilterValue(bool_value=True)),
        "filter.range.at_most",
        "number, a string or a timestamp",
    ),
    (field_range("a..b", at_most=number(1)), "filter.range.field", "character 3"),
    (field_in("a", moment(253_402_300_800)), "filter.in.values[0].timestamp_value.seconds", "9999"),
    (field_in("a", moment(0, -1)), "filter.in.values[0].timestamp_value.nanos", "nanos"),
    (pb.Filter(prefix=pb.FieldPrefix(field="a")), "filter.prefix.prefix", "not be empty"),
    (pb.Filter(text=pb.FieldText(field="a", text="x")), "filter.text.match", "TextMatch"),
    (
        pb.Filter(text=pb.FieldText(field="a", text="x", match=pb.TextMatch.ValueType(77))),
        "filter.text.match",
        "TextMatch",
    ),
    (
        pb.Filter(text=pb.FieldText(field="a", match=pb.TEXT_MATCH_CONTAINS)),
        "filter.text.text",
        "not be empty",
    ),
    (
        pb.Filter(text=pb.FieldText(field="", match=pb.TEXT_MATCH_CONTAINS, text="x")),
        "filter.text.field",
        "required",
    ),
    (
        pb.Filter(text=pb.FieldText(field="a", match=pb.TEXT_MATCH_REGEX, text="(")),
        "filter.text.text",
        "RE2",
    ),
    (
        pb.Filter(
            text=pb.FieldText(field="a", match=pb.TEXT_MATCH_REGEX, text="x", ignore_case=True)
        ),
        "filter.text.text",
        "(?i)",
    ),
    (pb.Filter(any_element=pb.AnyElement(field="a")), "filter.any_element.filter", "empty"),
    (
        pb.Filter(any_element=pb.AnyElement(field="a", filter=exists(""))),
        "filter.any_element.filter.exists.field",
        "required",
    ),
    (exists(".".join("abcdefghi")), "filter.exists.field", "8 keys"),
    (
        all_of(pb.Filter(expression="a = \n~")),
        "filter.all_of.filters[0].expression",
        "line 2, column 1",
    ),
    (pb.Filter(expression=""), "filter.expression", "line 1, column 1"),
]


@pytest.mark.parametrize(("message", "field", "says"), MISTAKES)
def test_a_mistake_names_its_field(message: pb.Filter, field: str, says: str) -> None:
    with pytest.raises(FilterInvalid) as caught:
        filter_from_proto(message)
    assert (caught.value.field, caught.value.reason) == (field, Reason.FILTER_INVALID)
    assert says in caught.value.message


def expression(conditions: int) -> pb.Filter:
    return pb.Filter(expression=" or ".join(["a=1"] * conditions))


LIMITS: list[tuple[pb.Filter, pb.Filter, str]] = [
    (negated(15, exists("a")), negated(16, exists("a")), "16 levels"),
    (
        negated(14, pb.Filter(expression="not a = 1")),
        negated(15, pb.Filter(expression="not a = 1")),
        "16 levels",
    ),
    (all_of(*[exists("a")] * 255), all_of(*[exists("a")] * 256), "256 conditions"),
    (
        all_of(expression(199), *[exists("a")] * 55),
        all_of(expression(199), *[exists("a")] * 56),
        "256",
    ),
    (field_in("a", *[number(1)] * 10_000), field_in("a", *[number(1)] * 10_001), "10,000 values"),
    (
        all_of(field_in("a", *[number(1)] * 9_999), pb.Filter(expression="a = 1")),
        all_of(field_in("a", *[number(1)] * 9_999), pb.Filter(expression="1 < a < 2")),
        "10,000 values",
    ),
]


@pytest.mark.parametrize(("within", "past", "says"), LIMITS)
def test_every_limit_passes_at_the_limit_and_fails_one_past_it(
    within: pb.Filter, past: pb.Filter, says: str
) -> None:
    assert filter_from_proto(within) is not None
    with pytest.raises(FilterInvalid, match=says):
        filter_from_proto(past)


def test_values_past_the_limit_are_not_translated_first() -> None:
    unusable: Any = [pb.FilterValue()] * 10_001
    with pytest.raises(FilterInvalid, match="10,000 values"):
        filter_from_proto(field_in("a", *unusable))
