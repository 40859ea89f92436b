"""What is told of a filter that meets less than was meant."""

from __future__ import annotations

from search_service.domain.metadata import Metadata
from search_service.filters.index import MetadataIndex
from search_service.filters.text import parse_filter

ITEMS: list[Metadata] = [
    {"taken": "2024-05-01T10:00:00", "shot": "May 2024", "price": "12", "size": 3},
    {"taken": "2024:05:01 10:00:00", "shot": "12:30", "price": "13", "on": True},
    {"taken": "yesterday", "shot": "2024-13-45", "size": 4.5},
]


def _remarks(expression: str) -> list[str]:
    index = MetadataIndex()
    for ordinal, metadata in enumerate(ITEMS):
        index.add(ordinal, metadata)
    return index.remarks(parse_filter(expression))


def test_a_field_that_holds_no_times_is_told() -> None:
    (remark,) = _remarks("not (shot > @2024-01-01) and shot <= @2025-01-01")
    assert remark.startswith("shot: 0 of 3 values are times; ")


def test_a_field_that_holds_some_times_is_told() -> None:
    (remark,) = _remarks("taken >= @2024-01-01")
    assert remark.startswith("taken: 2 of 3 values are times; ")


def test_values_of_another_kind_are_told() -> None:
    assert _remarks("price < 20 or on = 1 or size startswith 'a'") == [
        "price: 0 of 2 values are numbers",
        "on: 0 of 1 values are numbers",
        "size: 0 of 2 values are strings",
    ]


def test_fields_that_no_item_has_are_told() -> None:
    assert _remarks("exists(nope) or camera.model = 'x'") == [
        "no item has the field nope",
        "no item has the field camera.model",
    ]


def test_nothing_is_told_of_a_filter_that_compares_like_with_like() -> None:
    assert _remarks("price in ['12', 5] and size > 3 and exists(taken) or on = true") == [
        "price: 0 of 2 values are numbers"
    ]
    assert _remarks("price = '12' and size > 3 and exists(taken) or on = true") == []


def test_conditions_on_objects_and_on_text_are_told_by_their_whole_paths() -> None:
    index = MetadataIndex()
    index.add(0, {"shots": [{"taken": "May", "iso": 100}, {"taken": "June", "iso": 200}]})
    wanted = "any(shots, taken > @2024-01-01 and iso contains '1' and lens = 'x')"

    times, strings, missing = index.remarks(parse_filter(wanted))

    assert times.startswith("shots.taken: 0 of 1 values are times; ")
    assert strings == "shots.iso: 0 of 1 values are strings"
    assert missing == "no item has the field shots.lens"
