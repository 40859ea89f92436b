"""Which way queries are answered where most of what is near does not count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from search_service.domain.conditions import Range
from search_service.domain.mutations import Delete, Upsert
from search_service.domain.queries import PlanKind, QueryRequest
from tests.unit.search_service.shard.kit import (
    SMALL,
    build,
    create,
    fill,
    make_spec,
    random_units,
    search,
    wait_until,
)

# Nothing is built by itself: what is in a graph and what is dead stays as it is made.
STILL = replace(SMALL, head_limit=10**6, idle_build_vectors=10**6, max_dead_share=0.9)
VECTORS = random_units(14_000, 24, seed=5)
QUERY = VECTORS[3]
NEAREST = np.argsort(-(VECTORS @ QUERY))


def test_a_collection_whose_items_are_all_deleted_finds_nothing(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(24), STILL)
    fill(shard, VECTORS)
    build(shard)
    shard.submit([Delete(f"item-{row}") for row in range(len(VECTORS))]).result(60)
    assert search(shard, QUERY) == []
    assert search(shard, QUERY, filter=Range(("number",), at_least=0.0)) == []
    shard.close()


def test_what_is_left_around_many_deleted_items_is_found_by_the_graph(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(24), STILL)
    fill(shard, VECTORS)
    build(shard)
    shard.submit([Delete(f"item-{row}") for row in NEAREST[:1_500]]).result(60)
    (outcome,) = shard.query(QueryRequest(QUERY[None], 10)).result(60)
    left = [f"item-{row}" for row in NEAREST[1_500:1_510]]
    assert len({hit.id for hit in outcome.hits} & set(left)) >= 9
    assert outcome.plan.kind in (PlanKind.GRAPH, PlanKind.COMPACT_FALLBACK)
    shard.close()


def test_a_graph_without_matches_is_not_searched(tmp_path: Path) -> None:
    """All matches are in the second of two graphs, and in the head."""
    shard = create(tmp_path, make_spec(24), STILL)
    older = random_units(60_000, 24, seed=6)
    fill(shard, older[:40_000])
    fill(shard, older[40_000:], first=40_000)
    build(shard)
    fill(shard, VECTORS[:11_000], first=100_000)
    build(shard)
    wait_until(lambda: shard.stats().segments == 2)
    fill(shard, VECTORS[11_000:11_010], first=111_000)
    condition = Range(("number",), at_least=100_000.0)
    (outcome,) = shard.query(QueryRequest(QUERY[None], 10, condition)).result(60)
    among = np.argsort(-(VECTORS[:11_010] @ QUERY))[:10]
    assert len({hit.id for hit in outcome.hits} & {f"item-{100_000 + n}" for n in among}) >= 9
    assert outcome.plan.kind is PlanKind.GRAPH_FILTERED, "not given up for what the first lacks"
    shard.close()


def test_a_replaced_vector_that_stands_in_a_graph_is_not_found(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(24), STILL)
    fill(shard, VECTORS)
    build(shard)
    shard.submit([Upsert("item-3", -QUERY, {"number": 3})]).result(60)
    for condition in (None, Range(("number",), less_than=13_000.0)):
        assert "item-3" not in [hit.id for hit in search(shard, QUERY, filter=condition, limit=50)]
    assert search(shard, -QUERY)[0].id == "item-3"
    shard.close()


def test_many_queries_get_the_answers_that_each_gets_alone(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(24), STILL)
    fill(shard, VECTORS)
    build(shard)
    kinds = set()
    for kept in (4_200, 6_500, 13_500):
        condition = Range(("number",), less_than=float(kept))
        together = shard.query(QueryRequest(VECTORS[:40], 10, condition)).result(60)
        alone = [
            shard.query(QueryRequest(VECTORS[row : row + 1], 10, condition)).result(60)[0]
            for row in range(40)
        ]
        kinds |= {(together[0].plan.kind, alone[0].plan.kind)}
        same = [
            len({hit.id for hit in one.hits} & {hit.id for hit in other.hits})
            for one, other in zip(together, alone, strict=True)
        ]
        assert sum(same) >= 0.98 * 400
    assert (PlanKind.EXACT_FILTERED, PlanKind.COMPACT_FILTERED) in kinds
    assert (PlanKind.GRAPH_FILTERED, PlanKind.GRAPH_FILTERED) in kinds
    shard.close()


def test_many_queries_whose_walks_are_given_up_are_scanned_in_parts(tmp_path: Path) -> None:
    """Every query's own vector is what its filter leaves out, and 30,000 around it."""
    shard = create(tmp_path, make_spec(24), STILL)
    vectors = random_units(36_000, 24, seed=1)
    query = vectors[17]
    order = np.argsort(-(vectors @ query))
    fill(shard, vectors[order][::-1].copy())  # number 0 is the farthest
    build(shard)
    condition = Range(("number",), less_than=18_000.0)
    queries = np.repeat(query[None], 120, axis=0)
    request = QueryRequest(queries, 10, condition, expansion_search=16)
    outcomes = shard.query(request).result(60)
    wanted = [f"item-{number}" for number in range(17_999, 17_989, -1)]
    assert {one.plan.kind for one in outcomes} == {PlanKind.COMPACT_FALLBACK}
    assert all([hit.id for hit in one.hits] == wanted for one in outcomes)
    shard.close()
