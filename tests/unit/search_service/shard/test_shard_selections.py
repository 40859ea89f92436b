"""Changes of all items that meet a filter, a few at a time, beside other writes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.wire.errors import FilterInvalid, LimitExceeded, Unavailable
from search_service.domain.conditions import AllOf, Equals, Filter, Range
from search_service.domain.items import Fields
from search_service.domain.metadata import JsonValue
from search_service.domain.mutations import (
    Delete,
    MutationOutcome,
    MutationStatus,
    UpdateMetadata,
    Upsert,
)
from search_service.domain.selections import MetadataChange, Selection
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import (
    STILL,
    create,
    fill,
    make_spec,
    random_units,
    reopen,
    search,
)

VECTORS = random_units(60, 8)
LOW = Range(("number",), less_than=30.0)


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Shard]:
    made = create(tmp_path, make_spec(), STILL)
    fill(made, VECTORS)
    yield made
    made.close()


def deleting(filter: Filter | None, count: int = 10) -> Selection:
    return Selection(filter, None, None, count)


def merging(filter: Filter | None, patch: dict[str, JsonValue], count: int = 10) -> Selection:
    return Selection(filter, MetadataChange(patch, merge=True), None, count)


def finish(shard: Shard, selection: Selection) -> list[MutationOutcome]:
    outcomes: list[MutationOutcome] = []
    while True:
        step = shard.change_selection(selection).result(30)
        outcomes += step.outcomes
        if step.extent is None:
            return outcomes
        selection = replace(selection, extent=step.extent)


def metadata_of(shard: Shard, id: str) -> object:
    (item,) = shard.get([id], Fields(metadata=True))
    return None if item is None else item.metadata


def test_a_step_takes_no_more_than_asked_and_says_where_to_go_on(shard: Shard) -> None:
    step = shard.change_selection(deleting(LOW)).result(30)

    assert [each.id for each in step.outcomes] == [f"item-{n}" for n in range(10)]
    assert {each.status for each in step.outcomes} == {MutationStatus.APPLIED}
    assert shard.count(None) == 50
    assert step.extent is not None
    rest = finish(shard, replace(deleting(LOW), extent=step.extent))
    assert [each.id for each in rest] == [f"item-{n}" for n in range(10, 30)]
    assert (shard.count(LOW), shard.count(None)) == (0, 30)


def test_what_stopped_matching_in_line_before_it_is_left_alone(shard: Shard) -> None:
    """All are queued at once, so that the changes are written while the deletion waits."""
    changes = shard.submit([UpdateMetadata("item-3", {"number": 99}), Delete("item-4")])
    step = shard.change_selection(deleting(LOW, 100))
    later = shard.submit([UpdateMetadata("item-50", {"number": 1})])

    assert [each.error for each in changes.result(30)] == [None, None]
    gone = {each.id for each in step.result(30).outcomes}
    assert gone == {f"item-{n}" for n in range(30)} - {"item-3", "item-4"}
    later.result(30)
    assert metadata_of(shard, "item-3") == {"number": 99}
    assert metadata_of(shard, "item-50") == {"number": 1}


def test_what_is_stored_or_replaced_after_the_beginning_is_left_alone(shard: Shard) -> None:
    step = shard.change_selection(deleting(LOW)).result(30)
    again = [Upsert("item-20", VECTORS[0], {"number": 2}), Upsert("new", VECTORS[1], {"number": 3})]
    shard.submit(again).result(30)

    rest = finish(shard, replace(deleting(LOW), extent=step.extent))

    assert [each.id for each in rest] == [f"item-{n}" for n in range(10, 30) if n != 20]
    assert {hit.id for hit in search(shard, VECTORS[0], filter=LOW)} == {"item-20", "new"}


def test_a_merge_touches_each_item_once_and_passes_over_what_is_done(shard: Shard) -> None:
    patch: dict[str, JsonValue] = {"seen": True, "number": 7}

    first = finish(shard, merging(LOW, patch))
    second = finish(shard, merging(LOW, patch))

    assert len(first) == len(second) == 30
    assert sum(each.changed for each in first) == 30
    assert [each.changed for each in second] == [False] * 30
    assert [each.version for each in second] == [each.version for each in first]
    assert shard.count(Equals(("number",), 7.0)) == 30


def test_a_merge_that_would_be_too_large_changes_nothing_and_names_item_and_key(
    shard: Shard,
) -> None:
    big = {"a": "x" * 9_000}
    shard.submit([UpdateMetadata("item-5", {"number": 5, **big})]).result(30)

    outcomes = finish(shard, merging(LOW, {"b": 1, "note": "y" * 9_000}))

    refused = [each for each in outcomes if each.error is not None]
    assert [each.id for each in refused] == ["item-5"]
    assert isinstance(refused[0].error, LimitExceeded)
    assert '"item-5"' in refused[0].error.message
    assert '"note"' in refused[0].error.message
    assert metadata_of(shard, "item-5") == {"number": 5, **big}
    assert shard.count(Equals(("b",), 1.0)) == 29


def test_metadata_may_be_as_large_as_the_limit_after_a_merge(shard: Shard) -> None:
    room = 16 * 1024 - len('{"number":0,"a":""}')

    fits = shard.submit([UpdateMetadata("item-0", {"a": "x" * room}, merge=True)]).result(30)
    too_much = shard.submit([UpdateMetadata("item-1", {"a": "x" * (room + 1)}, merge=True)])

    assert fits[0].error is None
    assert isinstance(too_much.result(30)[0].error, LimitExceeded)


def test_a_merge_makes_no_item_of_what_is_none(shard: Shard) -> None:
    outcome = shard.submit([UpdateMetadata("later", {"a": 1}, merge=True)]).result(30)[0]
    assert outcome.status is MutationStatus.NOT_FOUND
    shard.submit([Upsert("later", VECTORS[0], {"b": 2})]).result(30)
    assert metadata_of(shard, "later") == {"b": 2}


def test_a_change_survives_a_restart_and_so_does_its_extent(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(), STILL)
    fill(shard, VECTORS)
    step = shard.change_selection(merging(LOW, {"seen": True})).result(30)
    shard.close()
    shard = reopen(tmp_path, STILL)
    rest = finish(shard, replace(merging(LOW, {"seen": True}), extent=step.extent))
    assert [each.id for each in rest] == [f"item-{n}" for n in range(10, 30)]
    assert shard.count(Equals(("seen",), True)) == 30
    shard.close()


def test_a_step_that_is_cancelled_before_its_turn_changes_nothing(shard: Shard) -> None:
    busy = shard.submit([Upsert(f"more-{n}", VECTORS[n % 60], {}) for n in range(2_000)])
    step = shard.change_selection(deleting(LOW))
    cancelled = step.cancel()
    assert len(busy.result(60)) == 2_000
    shard.submit([Delete("more-0")]).result(30)  # all before it has ended

    if cancelled and shard.count(LOW) == 30:
        with pytest.raises(CancelledError):
            step.result(30)
    else:  # it was on its way already
        assert shard.count(LOW) == 20


def test_a_filter_that_passes_a_limit_is_refused_and_the_shard_goes_on(shard: Shard) -> None:
    deep: Filter = LOW
    for _ in range(40):
        deep = AllOf((deep,))
    with pytest.raises(FilterInvalid):
        shard.change_selection(deleting(deep)).result(30)
    assert len(finish(shard, deleting(LOW))) == 30


def test_a_closed_shard_says_so(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(), STILL)
    shard.close()
    with pytest.raises(Unavailable):
        shard.change_selection(deleting(LOW)).result(30)


def test_an_empty_shard_has_nothing_to_change(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(), STILL)
    assert finish(shard, deleting(None)) == []
    assert finish(shard, merging(LOW, {"a": 1})) == []
    shard.close()
