"""Groups, suggestions and stacks, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from search_service.analysis.duplicates.grouping import (
    Adjacency,
    chained,
    components,
    stars,
    unique_pairs,
)
from search_service.analysis.duplicates.keeping import Reason, suggest
from search_service.analysis.duplicates.links import decisions_of
from search_service.analysis.duplicates.stacks import StackKind, bursts, by_name, time_s
from search_service.analysis.facts import PictureFacts
from search_service.domain.arrays import I64, Flags


def rows(*numbers: int) -> I64:
    return np.array(numbers, dtype=np.int64)


def groups_of(pairs: list[tuple[int, int]], count: int) -> list[tuple[int, list[int]]]:
    first, second = unique_pairs([(rows(*(a for a, _ in pairs)), rows(*(b for _, b in pairs)))])
    known = set(zip(first.tolist(), second.tolist(), strict=True))

    def linked(row: int, others: I64) -> Flags:
        return np.array([(min(row, o), max(row, o)) in known for o in others.tolist()], dtype=bool)

    adjacency = Adjacency(first, second, count)
    return [
        (representative, members.tolist())
        for component in components(first, second, count)
        for representative, members in stars(component, adjacency, linked)
    ]


def test_groups_come_in_the_order_of_their_oldest_members() -> None:
    assert groups_of([(7, 9), (4, 2), (2, 5), (5, 4), (0, 8)], 10) == [
        (0, [8]),
        (2, [4, 5]),
        (7, [9]),
    ]


def test_a_chain_falls_into_groups_around_representatives() -> None:
    chain = [(n, n + 1) for n in range(6)]
    assert groups_of(chain, 7) == [(1, [0, 2]), (3, [4]), (5, [6])]


def test_long_chains_fall_into_groups_too() -> None:
    found = groups_of([(n, n + 1) for n in range(500)], 501)
    grouped = [row for representative, members in found for row in (representative, *members)]
    assert len(grouped) == len(set(grouped)) >= 400
    assert max(len(members) for _, members in found) == 2


def test_many_of_one_picture_are_one_group() -> None:
    every = [(a, b) for a in range(100) for b in range(a)]
    assert groups_of(every, 100) == [(0, list(range(1, 100)))]


def test_what_is_linked_to_the_representative_alone_is_left_out() -> None:
    triangle = [(0, 1), (0, 2), (1, 2)]
    star = [(0, 3), (0, 4), (0, 5)]
    assert groups_of([*triangle, *star], 6) == [(0, [1, 2])]


def test_a_group_needs_not_all_of_its_links() -> None:
    pairs = [(a, b) for a in range(5) for b in range(a) if (a, b) not in ((1, 0), (4, 2))]
    assert groups_of(pairs, 5) == [(3, [0, 1, 2, 4])]


def test_equal_numbers_are_chained_to_the_first() -> None:
    first, second = chained(np.array([5, -1, 2, 5, 2, -1, 5]))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(2, 4), (0, 3), (0, 6)]


def test_decisions_about_missing_items_are_left_out() -> None:
    made = [
        ("a", "c", "duplicate"),
        ("b", "gone", "different"),
        ("b", "c", "different"),
        ("a", "", "keep"),
        ("gone", "", "ignore"),
    ]
    found = decisions_of(made, ["c", "a", "b"])
    assert found.duplicates == {(0, 1)}
    assert found.different == {(0, 2)}
    assert found.kept == {1}
    assert not found.ignored


def facts(**columns: list[object]) -> PictureFacts:
    count = len(next(iter(columns.values())))
    numbers = {
        name: np.array(columns.get(name, [0] * count), dtype=np.int64)
        for name in ("files", "pictures", "width_px", "height_px", "size_bytes")
    }
    return PictureFacts(
        **numbers,
        sharpness=np.array(columns.get("sharpness", [0.0] * count), dtype=np.float64),
        truncated=np.array(columns.get("truncated", [False] * count), dtype=np.bool_),
        formats=[str(each) for each in columns.get("formats", ["JPEG"] * count)],
        greys=[b""] * count,
    )


@pytest.mark.parametrize(
    ("columns", "kept", "row", "reasons"),
    [
        ({"width_px": [10, 20], "height_px": [10, 20]}, (), 1, [Reason.RESOLUTION]),
        ({"width_px": [10, 20], "height_px": [10, 20]}, (0,), 0, [Reason.REVIEWED]),
        (
            {"width_px": [20, 20], "height_px": [20, 20], "truncated": [True, False]},
            (),
            1,
            [Reason.WHOLE_FILE],
        ),
        ({"formats": ["JPEG", "PNG"], "size_bytes": [9, 5]}, (), 1, [Reason.LOSSLESS]),
        ({"size_bytes": [500, 900]}, (), 1, [Reason.FILE_SIZE]),
        ({"size_bytes": [900, 899], "sharpness": [10.0, 90.0]}, (), 1, [Reason.SHARPNESS]),
        ({"size_bytes": [900, 899], "sharpness": [90.0, 89.0]}, (), 1, [Reason.METADATA]),
    ],
)
def test_a_keeper_has_its_reasons(
    columns: dict[str, list[object]], kept: tuple[int, ...], row: int, reasons: list[Reason]
) -> None:
    found = suggest([0, 1], facts(**columns), [2, 40], frozenset(kept))
    assert (found.row, found.reasons) == (row, reasons)


def test_among_equals_the_oldest_is_kept() -> None:
    found = suggest([3, 8], facts(files=[0] * 9), [2, 2], frozenset())
    assert (found.row, found.reasons) == (3, [Reason.OLDEST])


def test_names_make_stacks() -> None:
    ids = ["a/1.NEF", "a/1.jpg", "b/1.jpg", "a/2.heic", "a/2.mov", "c.png", "c.jpg", "d.cr2", "e"]
    assert list(by_name(ids)) == [(StackKind.RAW, [0, 1]), (StackKind.LIVE, [3, 4])]


def test_times_make_bursts() -> None:
    times = np.array([10.0, 8.5, math.nan, 11.0, 60.0, 61.0])
    first, second = rows(0, 0, 1, 3, 4), rows(1, 3, 2, 4, 5)
    assert list(bursts(first, second, times, 2.0)) == [[1, 0, 3], [4, 5]]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970:01:01 00:00:05", 5.0),
        (12.5, 12.5),
        (7, 7.0),
    ],
)
def test_capture_times_are_read(value: object, seconds: float) -> None:
    assert time_s(value) == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["yesterday", "", None, True, [], {}])
def test_what_is_no_time_is_none(value: object) -> None:
    assert math.isnan(time_s(value))  # type: ignore[arg-type]
