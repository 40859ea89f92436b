"""Searching a shard, with and without a graph."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest

from lookalike.wire.errors import (
    DeadlineExceeded,
    DimensionMismatch,
    Exhausted,
    Reason,
    Unavailable,
)
from lookalike.wire.vectors import F32
from search_service.domain.conditions import Equals, Exists, Range
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, UpdateMetadata, Upsert
from search_service.domain.queries import PlanKind, QueryRequest
from search_service.shard.options import ShardOptions
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import (
    build,
    create,
    fill,
    make_spec,
    random_units,
    reopen,
    search,
    unit,
)

COUNT, DIMENSION = 14_000, 24


@pytest.fixture(scope="module")
def vectors() -> F32:
    return random_units(COUNT, DIMENSION)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, vectors: F32) -> Iterator[Shard]:
    """12,000 items in a graph, 2,000 in the head."""
    shard = create(tmp_path_factory.mktemp("shard"), make_spec(DIMENSION))
    fill(shard, vectors[:12_000])
    build(shard)
    fill(shard, vectors[12_000:], first=12_000)
    yield shard
    shard.close()


def exact_ids(vectors: F32, query: F32, limit: int) -> list[str]:
    scores = vectors.astype(np.float64) @ query.astype(np.float64)
    return [f"item-{row}" for row in np.argsort(-scores)[:limit]]


def test_the_worked_example(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(3))
    rows = {"g1": (1, 0, 0), "g2": (0, 1, 0), "g3": (0.5, 0.5, 0), "g4": (0, 0, 1)}
    rows["g5"] = (0.2, 0.1, 0)
    shard.submit([Upsert(id, unit(*row)) for id, row in rows.items()]).result(60)
    hits = search(shard, unit(0.6, 0.8, 0))
    shard.close()
    assert [(hit.id, round(hit.score, 3)) for hit in hits] == [
        ("g3", 0.990),
        ("g5", 0.894),
        ("g2", 0.8),
        ("g1", 0.6),
        ("g4", 0.0),
    ]


def test_head_and_graph_are_searched_together(indexed: Shard, vectors: F32) -> None:
    rows = np.arange(0, COUNT, 100)
    outcomes = indexed.query(QueryRequest(vectors[rows], limit=10)).result(60)
    assert {outcome.plan.kind for outcome in outcomes} == {PlanKind.GRAPH}
    found = sum(
        len({hit.id for hit in outcome.hits} & set(exact_ids(vectors, vectors[row], 10)))
        for row, outcome in zip(rows, outcomes, strict=True)
    )
    assert found / (10 * len(rows)) > 0.95
    assert [outcome.hits[0].id for outcome in outcomes] == [f"item-{row}" for row in rows]


def test_exact_search_is_exact(indexed: Shard, vectors: F32) -> None:
    outcomes = indexed.query(QueryRequest(vectors[:50], limit=20, exact=True)).result(60)
    for row, outcome in enumerate(outcomes):
        assert outcome.plan.kind is PlanKind.EXACT
        assert [hit.id for hit in outcome.hits] == exact_ids(vectors, vectors[row], 20)
        wide = vectors[:COUNT].astype(np.float64) @ vectors[row].astype(np.float64)
        want = np.sort(wide)[::-1][:20].astype(np.float32)
        assert [hit.score for hit in outcome.hits] == pytest.approx(want, abs=1e-7)


@pytest.mark.parametrize(
    ("low", "kind"),
    [(COUNT - 300, PlanKind.EXACT_FILTERED), (1_000, PlanKind.GRAPH_FILTERED)],
)
def test_filtered_search_by_selectivity(
    indexed: Shard, vectors: F32, low: int, kind: PlanKind
) -> None:
    wanted = Range(("number",), at_least=float(low))
    outcomes = indexed.query(QueryRequest(vectors[:40], limit=10, filter=wanted)).result(60)
    found = 0
    for row, outcome in enumerate(outcomes):
        assert outcome.plan.kind is kind
        assert outcome.plan.filter_matches == COUNT - low
        best = np.argsort(-(vectors[low:] @ vectors[row]))[:10] + low
        numbers = {int(hit.id.split("-")[1]) for hit in outcome.hits}
        assert len(numbers) == 10
        assert min(numbers) >= low
        found += len(numbers & set(best.tolist()))
    assert found >= (400 if kind is PlanKind.EXACT_FILTERED else 370)


def test_a_filter_that_nothing_meets(indexed: Shard, vectors: F32) -> None:
    assert search(indexed, vectors[0], filter=Exists(("nothing",))) == []


def test_excluded_ids_make_room_for_others(indexed: Shard, vectors: F32) -> None:
    best = exact_ids(vectors, vectors[7], 30)
    hits = search(indexed, vectors[7], limit=10, exclude=[frozenset(best[:20])], exact=True)
    assert [hit.id for hit in hits] == best[20:30]


def test_min_score_cuts_the_tail(indexed: Shard, vectors: F32) -> None:
    every = search(indexed, vectors[3], limit=50, exact=True)
    least = every[20].score
    hits = search(indexed, vectors[3], limit=50, exact=True, min_score=least)
    assert hits == [hit for hit in every if hit.score >= least]
    assert len(hits) >= 21


def test_fields_are_read_with_the_hits(indexed: Shard, vectors: F32) -> None:
    hit = search(indexed, vectors[12_345], limit=1, fields=Fields(metadata=True, vector=True))[0]
    assert hit.item is not None
    assert hit.item.metadata == {"number": 12_345}
    assert hit.item.vector is not None
    assert hit.item.vector.tolist() == vectors[12_345].tolist()


def test_concurrent_queries_of_different_kinds_keep_apart(indexed: Shard, vectors: F32) -> None:
    futures = [
        indexed.query(QueryRequest(vectors[row : row + 2], limit=1 + row % 3, exact=row % 2 == 0))
        for row in range(60)
    ]
    for row, future in enumerate(futures):
        first, second = future.result(60)
        assert first.hits[0].id == f"item-{row}"
        assert second.hits[0].id == f"item-{row + 1}"
        assert len(first.hits) == 1 + row % 3


def test_recall_is_measured(indexed: Shard) -> None:
    measured = indexed.measure_recall(sample_size=50, limit=10, expansions=[64, 512], seed=1)
    assert [one.expansion_search for one in measured] == [64, 512]
    assert all(one.recall > 0.9 and one.self_misses == 0 for one in measured)
    assert all(one.queries == 50 and one.least_recall <= one.recall for one in measured)


def test_equal_scores_are_sorted_by_id_in_head_and_graph(tmp_path: Path, vectors: F32) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    twin = vectors[0]
    names = [f"twin-{number:03d}" for number in range(300)]
    shard.submit([Upsert(name, twin) for name in names[::-1][:200]]).result(30)
    fill(shard, vectors[1:11_000], first=1)
    build(shard)
    shard.submit([Upsert(name, twin) for name in names[:100]]).result(30)
    for exact in (True, False):
        hits = search(shard, twin, limit=20, exact=exact)
        assert [hit.id for hit in hits] == names[:20]
        assert {hit.score for hit in hits} == {1.0}
    assert len(search(shard, twin, limit=300)) == 300
    shard.close()


def test_a_replaced_or_deleted_vector_does_not_come_back(tmp_path: Path, vectors: F32) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    fill(shard, vectors[:11_000])
    build(shard)
    shard.submit([Upsert("item-5", vectors[12_000]), Delete("item-6")]).result(30)
    for again in (False, True):
        if again:
            shard.close()
            shard = reopen(tmp_path)
        assert search(shard, vectors[12_000], limit=1)[0].id == "item-5"
        for row in (5, 6):
            assert f"item-{row}" not in {
                hit.id for hit in search(shard, vectors[row], limit=3, min_score=0.999)
            }
        assert shard.count(None) == 10_999
        assert len(search(shard, vectors[5], limit=10)) == 10
    shard.close()


def test_metadata_changes_show_in_filters(tmp_path: Path) -> None:
    shard = create(tmp_path)
    shard.submit([Upsert("a", unit(1, 0, 0, 0, 0, 0, 0, 0), {"state": "new"})]).result(60)
    shard.submit([UpdateMetadata("a", {"state": "seen"})]).result(60)
    assert shard.count(Equals(("state",), "new")) == 0
    assert shard.count(Equals(("state",), "seen")) == 1
    shard.submit([Delete("a")]).result(60)
    assert shard.count(Equals(("state",), "seen")) == 0
    shard.close()


def test_lists_are_sorted_paged_and_filtered(indexed: Shard) -> None:
    wanted = Range(("number",), less_than=25.0)
    seen: list[str] = []
    while page := indexed.list_items(
        filter=wanted, after_id=seen[-1] if seen else "", page_size=10, fields=Fields()
    ):
        assert len(page) <= 10
        seen += [item.id for item in page]
    assert seen == sorted(f"item-{number}" for number in range(25))
    first = indexed.list_items(filter=None, after_id="", page_size=3, fields=Fields())
    assert [item.id for item in first] == ["item-0", "item-1", "item-10"]


def test_a_passed_deadline_and_a_cancelled_query_cost_nothing(indexed: Shard, vectors: F32) -> None:
    late = indexed.query(QueryRequest(vectors[:1], deadline_s=time.monotonic() - 1))
    with pytest.raises(DeadlineExceeded):
        late.result(60)
    busy = [indexed.query(QueryRequest(vectors[:64], exact=True)) for _ in range(20)]
    dropped = indexed.query(QueryRequest(vectors[:1]))
    assert dropped.cancel()
    with pytest.raises(CancelledError):
        dropped.result(60)
    assert all(len(future.result(60)) == 64 for future in busy)


def test_too_many_waiting_queries_are_refused_at_once(tmp_path: Path, vectors: F32) -> None:
    shard = create(
        tmp_path, make_spec(DIMENSION), ShardOptions(max_waiting_queries=64, ballast_bytes=0)
    )
    fill(shard, vectors[:2_000])
    futures = [shard.query(QueryRequest(vectors[:64])) for _ in range(50)]
    errors = [error for future in futures if (error := future.exception(60)) is not None]
    assert 0 < len(errors) < 50
    assert all(
        isinstance(error, Exhausted) and error.reason is Reason.OVERLOADED for error in errors
    )
    shard.close()


def test_queries_of_another_dimension_fail_alone(indexed: Shard, vectors: F32) -> None:
    good = [indexed.query(QueryRequest(vectors[:8])) for _ in range(4)]
    for wrong in (vectors[:2, :5], vectors[0]):
        with pytest.raises(DimensionMismatch):
            indexed.query(QueryRequest(wrong)).result(60)
    assert indexed.query(QueryRequest(vectors[:0])).result(60) == []
    assert all(len(future.result(60)) == 8 for future in good)


def test_after_close_every_call_is_answered(tmp_path: Path, vectors: F32) -> None:
    shard = create(tmp_path, make_spec(DIMENSION))
    fill(shard, vectors[:500])
    waiting = [shard.query(QueryRequest(vectors[:64])) for _ in range(30)]
    shard.close()
    for future in waiting:
        error = future.exception(60)
        assert error is None or isinstance(error, Unavailable)
    with pytest.raises(Unavailable):
        shard.query(QueryRequest(vectors[:1])).result(1)
    with pytest.raises(Unavailable):
        shard.submit([Delete("x")]).result(1)
