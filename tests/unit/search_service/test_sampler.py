"""The recall sampler over a shard that answers as it is told."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from lookalike.wire.errors import Exhausted
from search_service.catalog.collection import Collection
from search_service.domain.items import Fields
from search_service.domain.queries import Hit, PlanKind, QueryOutcome, QueryPlan, QueryRequest
from search_service.metrics import SearchMetrics
from search_service.sampler import RecallSampler, recall_of, selectivity_of

PLAN = QueryPlan(PlanKind.GRAPH, 1_000, 1_000, 64, 64, 1, 0.0, 0.0, 0.001)
EXACT = [Hit("a", 0.9), Hit("b", 0.8), Hit("c", 0.7), Hit("d", 0.6)]


class ExactShard:
    """Answers `EXACT`, or fails; keeps what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[QueryRequest] = []
        self._error = error

    def query(self, request: QueryRequest) -> Future[list[QueryOutcome]]:
        self.asked.append(request)
        future: Future[list[QueryOutcome]] = Future()
        if self._error is not None:
            future.set_exception(self._error)
        else:
            future.set_result([QueryOutcome(EXACT, PLAN)])
        return future


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


async def sampled(shard: Any, found: list[Hit], plan: QueryPlan = PLAN, share: float = 1.0) -> Any:
    registry = CollectorRegistry()
    sampler = RecallSampler(share, SearchMetrics(registry), seed=1)
    request = QueryRequest(
        vectors=np.eye(2, dtype=np.float32), limit=4, fields=Fields(metadata=True)
    )
    outcomes = [QueryOutcome(found, plan)] * 2
    sampler.offer(Collection("u", "photos", shard), request, outcomes)
    task = asyncio.create_task(sampler.run())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    return registry


async def test_a_sample_is_run_again_exactly_and_published() -> None:
    shard = ExactShard()
    registry = await sampled(shard, [EXACT[0], EXACT[2], EXACT[3]])
    (asked,) = shard.asked
    assert asked.exact
    assert asked.fields == Fields()
    assert asked.vectors.shape == (1, 2)
    labels = {"collection": "photos", "selectivity": "none"}
    assert value(registry, "lookalike_recall", **labels) == 0.75
    assert value(registry, "lookalike_recall_samples_total", **labels) == 1


async def test_exact_answers_are_not_sampled() -> None:
    shard = ExactShard()
    await sampled(shard, EXACT, replace(PLAN, kind=PlanKind.EXACT))
    await sampled(shard, EXACT, share=0.0)
    assert shard.asked == []


async def test_an_overloaded_shard_drops_the_sample() -> None:
    registry = await sampled(ExactShard(Exhausted("too many")), EXACT)
    assert value(registry, "lookalike_recall_dropped_total") == 1


async def test_offers_past_the_bound_are_dropped() -> None:
    registry = CollectorRegistry()
    sampler = RecallSampler(1.0, SearchMetrics(registry), seed=1)
    request = QueryRequest(vectors=np.eye(1, dtype=np.float32))
    collection = Collection("u", "photos", None)
    for _ in range(40):
        sampler.offer(collection, request, [QueryOutcome(EXACT, PLAN)])
    assert value(registry, "lookalike_recall_dropped_total") == 8


def test_ties_count_as_found() -> None:
    exact = [Hit("a", 0.9), Hit("b", 0.8)]
    assert recall_of([Hit("a", 0.9), Hit("twin of b", 0.8)], exact) == 1.0
    assert recall_of([Hit("a", 0.9), Hit("c", 0.7)], exact) == 0.5


@pytest.mark.parametrize(
    ("kind", "filtered", "matches", "name"),
    [
        (PlanKind.GRAPH, False, 1_000, "none"),
        (PlanKind.EXACT_FALLBACK, False, 1_000, "none"),
        (PlanKind.GRAPH_FILTERED, True, 1, "0.1%"),
        (PlanKind.GRAPH_FILTERED, True, 100, "10%"),
        (PlanKind.GRAPH_FILTERED, True, 101, "50%"),
        (PlanKind.EXACT_FALLBACK, True, 900, "100%"),
    ],
)
def test_selectivity_has_classes(kind: PlanKind, filtered: bool, matches: int, name: str) -> None:
    plan = replace(PLAN, kind=kind, filter_matches=matches)
    assert selectivity_of(plan, filtered=filtered) == name
