"""Metadata on which filters do something else than is meant is told, by field."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from search_service.analysis.checking.field_profiles import path_text, profile_fields
from search_service.analysis.checking.finding import Finding, Verdict
from search_service.analysis.checking.metadata import check_metadata
from search_service.analysis.gallery import Gallery
from search_service.filters.paths import parse_path

NOTHING: dict[str, Any] = {"fields": [], "filters": [], "label_path": []}


def findings(rows: list[Any], **options: Any) -> list[Finding]:
    n = len(rows)
    shown = Gallery(
        [f"item-{place}" for place in range(n)],
        np.arange(1, n + 1),
        np.zeros((n, 2), dtype=np.float32),
        [orjson.dumps(row) for row in rows],
        [b""] * n,
        np.arange(1, n + 1),
    )
    return list(check_metadata(shown, NOTHING | options))


def told(rows: list[Any], name: str, **options: Any) -> Finding:
    """The finding of that name; there must be one."""
    (finding,) = (each for each in findings(rows, **options) if each.name == name)
    return finding


def test_ordinary_metadata_is_well() -> None:
    rows = [
        {"kind": "shoe", "price": 3.5, "at": "2024-05-01T12:00:00Z", "tags": ["a", "b"], "no": None}
        for _ in range(60)
    ]
    assert {each.verdict for each in findings(rows)} == {Verdict.OK}


def test_an_empty_collection_is_well() -> None:
    assert {each.verdict for each in findings([])} == {Verdict.OK}


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("2024-05-01T12:00:00", True),
        ("2024-05-01 12:00", True),
        ("2024:05:01 12:00:00", True),  # as EXIF has it
        ("2024-05-01T12:00:00.25", True),
        ("2024-05-01T12:00:00+02:00", False),
        ("2024-05-01T12:00:00Z", False),
        ("2024-05-01", False),  # a day is no time
        ("shoe", False),
    ],
)
def test_times_need_an_offset(text: str, lacks: bool) -> None:
    finding = told([{"a": {"at": [text]}}], "times_without_offset")
    assert (finding.verdict is Verdict.WARN) is lacks
    assert finding.field == ("a.at" if lacks else "")


def test_numbers_that_differ_only_beyond_2_53_are_told() -> None:
    first = 2**53
    rows = [{"id": str(first + place)} for place in (1, 2, 3)]
    finding = told(rows, "numbers_beyond_2_53")
    assert (finding.verdict, finding.value) == (Verdict.WARN, 3.0)
    # 2^53 + 1 is rounded to 2^53, 2^53 + 3 to 2^53 + 4.
    assert "0 of their values" in finding.found
    assert "1 of their values" in told([*rows, {"id": str(first + 4)}], finding.name).found
    assert told([{"id": str(first)}, {"id": "0042"}], finding.name).verdict is Verdict.OK


def test_numbers_that_may_have_been_rounded_are_told() -> None:
    assert told([{"id": 2.0**53}], "numbers_rounded").verdict is Verdict.WARN
    assert told([{"id": 2.0**53 - 1}], "numbers_rounded").verdict is Verdict.OK


def test_fields_of_several_kinds_are_told_with_the_fewest_as_examples() -> None:
    rows: list[Any] = [{"size": 4}, {"size": 5}, {"size": "6"}]
    finding = told(rows, "mixed_types")
    assert (finding.field, list(finding.example_ids)) == ("size", ["item-2"])
    assert finding.found == "holds 2 of number, 1 of text"
    assert told([{"size": 4}, {"size": None}], "mixed_types").verdict is Verdict.OK
    assert told([{"a": True}, {"a": 1}], "mixed_types").verdict is Verdict.WARN
    assert told([{"a": {"b": 1}}, {"a": 1}], "mixed_types").verdict is Verdict.WARN


def test_a_field_that_hardly_an_item_has_is_told_with_what_was_meant() -> None:
    rows = [{"category": "a"} for _ in range(199)] + [{"catgory": "a"}]
    finding = told(rows, "rare_fields")
    assert (finding.field, finding.verdict) == ("catgory", Verdict.WARN)
    assert 'did you mean "category"' in finding.found


def test_values_and_fields_that_differ_only_in_spelling_are_told() -> None:
    rows: list[Any] = [{"kind": "Shoe"}, {"kind": "shoe "}, {"Kind": "hat"}]
    assert '"Shoe" and "shoe "' in told(rows, "spellings_of_values").found
    assert "Kind, kind" in told(rows, "spellings_of_fields").found


def test_asked_fields_and_filters_must_find_something() -> None:
    rows = [{"category": "a"}] * 3
    there = told(rows, "fields_there", fields=[["category"]])
    missing = told(rows, "fields_there", fields=[["Category"]])
    assert (there.verdict, missing.verdict) == (Verdict.OK, Verdict.FAIL)
    assert 'did you mean "category"' in missing.found

    asked = {"text": "catgory = 'a'", "paths": [["catgory"]], "matches": 0}
    nothing = told(rows, "filters_match", filters=[asked])
    assert (nothing.verdict, nothing.value) == (Verdict.FAIL, 0.0)
    assert "no item has the field catgory" in nothing.found
    met = told(rows, "filters_match", filters=[asked | {"matches": 2}])
    assert (met.verdict, met.advice) == (Verdict.OK, "")


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        (["a", "a", "b", "b"], Verdict.OK),
        (["a", "a", "b", " "], Verdict.WARN),
        (["a", "b", "c", "c"], Verdict.WARN),
        (["a", "a", "a", "a"], Verdict.FAIL),
        ([None, None, None, "a"], Verdict.FAIL),
    ],
)
def test_labels_need_two_of_a_kind_and_two_kinds(labels: list[Any], verdict: Verdict) -> None:
    rows = [{"label": each} for each in labels]
    assert told(rows, "labels", label_path=["label"]).verdict is verdict


@pytest.mark.parametrize("path", [("a", "b"), ("f.number", "x"), ("back`tick",)])
def test_paths_are_written_as_filters_read_them(path: tuple[str, ...]) -> None:
    assert parse_path(path_text(path)) == path


def test_objects_in_lists_count_by_their_keys() -> None:
    profiles = profile_fields(["x"], [b'{"boxes": [{"label": "a"}, {"label": 2}]}'])
    assert profiles["boxes", "label"].items == 1
    assert len(profiles["boxes", "label"].sorts) == 2
