"""Searches of a large head beside a segment: compared in that segment's compact form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from search_service.domain.conditions import Range
from search_service.domain.mutations import Delete, Upsert
from search_service.domain.queries import QueryOutcome, QueryRequest
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import (
    STILL,
    build,
    create,
    fill,
    make_spec,
    random_units,
    reopen,
    seal,
    search,
    wait_until,
)

BEFORE = random_units(10_500, 24, seed=6)
# More than a block of the head holds.
VECTORS = random_units(12_000, 24, seed=5)


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Shard]:
    shard = create(tmp_path, make_spec(24, graph_dimension=12), STILL)
    fill(shard, BEFORE, first=20_000)
    shard = seal(shard, tmp_path, STILL)
    fill(shard, VECTORS)
    assert shard.stats().head_vectors == len(VECTORS)
    yield shard
    shard.close()


def both(
    shard: Shard, row: int, condition: Range | None = None
) -> tuple[QueryOutcome, QueryOutcome]:
    """Return the answer to a query for a row of the head, and the exact one."""
    query = VECTORS[row : row + 1]
    found = shard.query(QueryRequest(query, 10, condition)).result(60)[0]
    return found, shard.query(QueryRequest(query, 10, condition, exact=True)).result(60)[0]


def agreement(shard: Shard, condition: Range | None = None) -> float:
    """Return the share of the exact ten nearest that are found without comparing all exactly."""
    shared = []
    for row in range(0, len(VECTORS), 400):
        found, exact = both(shard, row, condition)
        # Re-ranked are some of each block and of the segment: many of the latter, since half
        # of the components say little of vectors that point anywhere.
        assert 2 * found.plan.candidates < exact.plan.candidates
        shared.append(len({hit.id for hit in found.hits} & {hit.id for hit in exact.hits}))
    return float(np.mean(shared)) / 10


def test_the_nearest_are_found(shard: Shard) -> None:
    assert agreement(shard) >= 0.97


def test_the_nearest_that_meet_a_filter_are_found(shard: Shard) -> None:
    assert agreement(shard, Range(("number",), at_least=1_000.0)) >= 0.97
    found, _ = both(shard, 0, Range(("number",), at_least=1_000.0))
    assert all(int(hit.id.removeprefix("item-")) >= 1_000 for hit in found.hits)


def test_each_is_found_by_its_own_vector(shard: Shard) -> None:
    for row in range(0, len(VECTORS), 97):
        assert search(shard, VECTORS[row])[0].id == f"item-{row}"


def test_what_is_deleted_or_replaced_is_not_found(shard: Shard) -> None:
    shard.submit([Delete("item-3"), Upsert("item-4", -VECTORS[4], {"number": 4})]).result(60)
    assert "item-3" not in [hit.id for hit in search(shard, VECTORS[3])]
    assert "item-4" not in [hit.id for hit in search(shard, VECTORS[4])]
    assert search(shard, -VECTORS[4])[0].id == "item-4"


def test_the_nearest_are_found_once_most_of_a_block_was_deleted(shard: Shard) -> None:
    shard.submit([Delete(f"item-{row}") for row in range(len(VECTORS)) if row % 400]).result(60)
    wait_until(lambda: shard.stats().unindexed_vectors < len(VECTORS))
    for row in range(0, len(VECTORS), 400):
        found, exact = both(shard, row)
        assert found.hits[0].id == exact.hits[0].id == f"item-{row}"
        assert len({hit.id for hit in found.hits} & {hit.id for hit in exact.hits}) >= 9


def test_more_equal_ones_than_are_reranked_are_ordered_by_id(shard: Shard) -> None:
    same = [f"same-{number:04d}" for number in range(3_000)]
    shard.submit([Upsert(id, VECTORS[9], {}) for id in reversed(same)]).result(60)
    hits = search(shard, VECTORS[9], limit=10)
    assert [hit.id for hit in hits] == ["item-9", *same[:9]]


def test_it_is_so_after_a_restart_and_after_a_build(shard: Shard, tmp_path: Path) -> None:
    shard.close()
    again = reopen(tmp_path, STILL)
    assert again.stats().head_vectors == len(VECTORS)
    assert agreement(again) >= 0.97
    build(again)
    assert again.stats().head_vectors == 0
    assert search(again, VECTORS[9])[0].id == "item-9"
    again.close()
