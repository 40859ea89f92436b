"""Searches of large segments that wait for a graph: compared in the form that it will have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from search_service.domain.conditions import Range
from search_service.domain.mutations import Delete, Upsert
from search_service.domain.queries import PlanKind, QueryRequest
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import (
    STILL,
    build,
    create,
    fill,
    make_spec,
    random_units,
    seal,
    search,
)

VECTORS = random_units(14_000, 24, seed=5)
QUERIES = VECTORS[:50]


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Shard]:
    shard = create(tmp_path, make_spec(24, graph_dimension=12), STILL)
    fill(shard, VECTORS)
    shard = seal(shard, tmp_path, STILL)
    assert (shard.stats().segments, shard.stats().graph_vectors) == (1, 0)
    yield shard
    shard.close()


def agreement(shard: Shard, kind: PlanKind, condition: Range | None = None) -> float:
    """Return the share of ten nearest that are found by each query, by plans of `kind`."""
    exact = shard.query(QueryRequest(QUERIES, 10, condition, exact=True)).result(60)
    found = shard.query(QueryRequest(QUERIES, 10, condition)).result(60)
    alone = shard.query(QueryRequest(QUERIES[:1], 10, condition)).result(60)
    assert {one.plan.kind for one in [*found, *alone]} == {kind}
    assert len({hit.id for hit in alone[0].hits} & {hit.id for hit in found[0].hits}) >= 9
    shared = [
        len({hit.id for hit in one.hits} & {hit.id for hit in other.hits})
        for one, other in zip(exact, found, strict=True)
    ]
    return sum(shared) / (10 * len(QUERIES))


def test_the_nearest_of_all_are_found(sealed: Shard) -> None:
    assert agreement(sealed, PlanKind.COMPACT) >= 0.99


def test_the_nearest_of_many_matches_are_found(sealed: Shard) -> None:
    condition = Range(("number",), at_least=2_000.0)
    outcome = sealed.query(QueryRequest(QUERIES[:1], 10, condition)).result(60)[0]
    assert outcome.plan.kind is PlanKind.COMPACT_FILTERED
    assert all(int(hit.id.removeprefix("item-")) >= 2_000 for hit in outcome.hits)
    best = 2_000 + np.argsort(-(VECTORS[2_000:] @ QUERIES[0]))[:10]
    assert len({hit.id for hit in outcome.hits} & {f"item-{row}" for row in best}) >= 9


def test_what_is_deleted_or_replaced_is_not_found(sealed: Shard) -> None:
    sealed.submit([Delete("item-3"), Upsert("item-4", -VECTORS[4], {"number": 4})]).result(60)
    assert "item-3" not in [hit.id for hit in search(sealed, VECTORS[3])]
    assert "item-4" not in [hit.id for hit in search(sealed, VECTORS[4])]
    assert search(sealed, -VECTORS[4])[0].id == "item-4"
    assert agreement(sealed, PlanKind.COMPACT) >= 0.99


def test_few_matches_are_compared_exactly(sealed: Shard) -> None:
    assert agreement(sealed, PlanKind.EXACT_FILTERED, Range(("number",), less_than=500.0)) == 1.0


def test_beside_a_graph_both_are_searched(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(24, graph_dimension=12), STILL)
    fill(shard, random_units(12_000, 24, seed=6), first=20_000)
    build(shard)
    fill(shard, VECTORS)
    shard = seal(shard, tmp_path, STILL)
    assert (shard.stats().segments, shard.stats().unindexed_vectors) == (2, len(VECTORS))
    assert agreement(shard, PlanKind.GRAPH) >= 0.97
    build(shard)
    assert shard.stats().unindexed_vectors == 0
    assert search(shard, VECTORS[7])[0].id == "item-7"
    shard.close()
