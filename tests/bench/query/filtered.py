"""query.1 to query.3: recall and time of filters of every selectivity.

Filters are ranges over numbers: one that has nothing to do with the vectors, and
for each of some pivots the place of every item by its cosine with the pivot.
Queries lie around a pivot, so that its first places are a filter that agrees with
them and its last places one that excludes all that is near.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lookalike.v1 import filter_pb2, search_pb2
from lookalike.wire.vectors import F32
from tests.bench.report import percentile
from tests.bench.search.peers.environment import Missing
from tests.bench.search.run import NAME, Expected, Run
from tests.bench.search.service import Service, search_request, upsert_message
from tests.bench.search.vectors import Dataset

SHARES = (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9)
LIMIT = 10
PIVOTS = 8
QUERIES_A_PIVOT = 16
PASSES = 2
_ITEMS_A_MESSAGE = 500
_SETTLE_S = 0.5
# Weights of pivot and of another vector in a query.
_NEAR, _OTHER = 0.6, 0.4

EXPECTED = (
    Expected("query.1", "least recall@10 over random filters", "recall", ">= 0.95"),
    Expected("query.2", "the same, filters that follow the query", "recall", ">= 0.95"),
    Expected("query.3", "p99 with a filter ÷ without", "ratio", "<= 3"),
)

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Filtered:
    """The set with its metadata: `free` float64 [N], `place` float64 [PIVOTS, N], in [0, 1)."""

    dataset: Dataset

    @cached_property
    def free(self) -> F64:
        """A number that has nothing to do with the vector."""
        return np.random.default_rng(1).random(len(self.dataset.base))

    @cached_property
    def pivots(self) -> F32:
        """float32 [PIVOTS, D]."""
        return self.dataset.queries[:PIVOTS]

    @cached_property
    def place(self) -> F64:
        """Where each item stands by its cosine with each pivot, nearest first."""
        scores = self.pivots @ np.asarray(self.dataset.base).T
        order = np.argsort(-scores, axis=1)
        place = np.empty(order.shape)
        count = order.shape[1]
        np.put_along_axis(place, order, ((np.arange(count) + 0.5) / count)[None], axis=1)
        return place

    @cached_property
    def queries(self) -> F32:
        """float32 [PIVOTS, QUERIES_A_PIVOT, D], unit L2; the first of each is the pivot."""
        others = self.dataset.queries[PIVOTS : PIVOTS * (1 + QUERIES_A_PIVOT)]
        if len(others) < PIVOTS * QUERIES_A_PIVOT:
            raise Missing(f"--queries must be at least {PIVOTS * (1 + QUERIES_A_PIVOT)}")
        mixed = _NEAR * self.pivots[:, None] + _OTHER * others.reshape(PIVOTS, QUERIES_A_PIVOT, -1)
        mixed[:, 0] = self.pivots
        unit: F32 = (mixed / np.linalg.norm(mixed, axis=2, keepdims=True)).astype(np.float32)
        return unit

    def load(self, service: Service) -> None:
        """Upsert everything, and wait for the graph."""
        for answer in service.search.UpsertVectors(self._messages()):
            if any(r.status != search_pb2.MUTATION_STATUS_APPLIED for r in answer.results):
                raise Missing("an upsert was not applied")
        service.wait_indexed(NAME)

    def condition(self, kind: str, pivot: int, share: float) -> tuple[str, npt.NDArray[np.bool_]]:
        """Return the filter's text, and which items meet it, bool [N]."""
        if kind == "random":
            return f"free < {share!r}", self.free < share
        if kind == "near":
            return f"place{pivot} < {share!r}", self.place[pivot] < share
        return f"place{pivot} >= {1 - share!r}", self.place[pivot] >= 1 - share

    def _messages(self) -> Iterator[search_pb2.UpsertVectorsRequest]:
        for start in range(0, len(self.dataset.base), _ITEMS_A_MESSAGE):
            rows = np.asarray(self.dataset.base[start : start + _ITEMS_A_MESSAGE])
            ids = range(start, start + len(rows))
            message = upsert_message(NAME, rows, ids)
            for item, row in zip(message.items, ids, strict=True):
                item.metadata["free"] = float(self.free[row])
                for pivot in range(PIVOTS):
                    item.metadata[f"place{pivot}"] = float(self.place[pivot, row])
            yield message


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of filter at one share: mean recall@10, each call's ms, plans."""

    recall: float
    calls_ms: list[float]
    plans: dict[str, int]


def measure(run: Run, service: Service, items: Filtered) -> None:
    """Add the rows of random filters, of those that follow the query, and of times."""
    plain = _ask(service, items, "none", 1.0)
    compact_ms = _scan_ms(items)
    found = {
        (kind, share): _ask(service, items, kind, share)
        for kind in ("random", "near", "far")
        for share in SHARES
    }
    target = max(0.95, plain.recall - 0.01)
    for id, kinds in (("query.1", ("random",)), ("query.2", ("near", "far"))):
        least = min((m.recall, key) for key, m in found.items() if key[0] in kinds)
        what = (
            f"least recall@10 over shares of {SHARES[0]:.2%} to {SHARES[-1]:.0%}, filters: "
            f"{' and '.join(kinds)}; at {least[1][0]} {least[1][1]:g}; unfiltered "
            f"{plain.recall:.4f}"
        )
        run.report.at_least(id, what, least[0], "recall", round(target, 4))
    plain_ms = percentile(plain.calls_ms, 99)
    ratios = {
        key: percentile(m.calls_ms, 99) / (compact_ms if key[0] == "far" else plain_ms)
        for key, m in found.items()
    }
    worst = max(ratios, key=lambda key: ratios[key])
    what = (
        f"greatest p99 ÷ unfiltered p99 ({plain_ms:.1f} ms); of filters that keep what is far ÷ "
        f"a scan of all in float32 ({compact_ms:.1f} ms); at {worst[0]} {worst[1]:g}"
    )
    run.report.at_most("query.3", what, ratios[worst], "ratio", 3)
    table: dict[str, object] = {
        f"{kind} {share:g}": [
            round(m.recall, 4),
            *(round(percentile(m.calls_ms, p), 2) for p in (50, 99)),
            m.plans,
        ]
        for (kind, share), m in found.items()
    }
    run.report.stated("query.3a", "each filter: recall@10, p50 ms, p99 ms, plans", table, "")


def exact(items: Filtered, query: F32, meets: npt.NDArray[np.bool_]) -> set[int]:
    """Return the exact nearest that meet the filter."""
    rows = np.flatnonzero(meets)
    scores = np.asarray(items.dataset.base)[rows] @ query
    return set(rows[np.argsort(-scores)[:LIMIT]].tolist())


def _ask(service: Service, items: Filtered, kind: str, share: float) -> Measured:
    """Ask all queries, twice; the first call of each pivot is not timed.

    The truth is found before: after a product BLAS's threads go on spinning, and
    would take the cores from the service.
    """
    everything = np.ones(len(items.dataset.base), dtype=np.bool_)
    asked: list[tuple[search_pb2.SearchRequest, set[int]]] = []
    for pivot in range(PIVOTS):
        text, meets = ("", everything) if kind == "none" else items.condition(kind, pivot, share)
        for query in items.queries[pivot]:
            request = search_request(NAME, query[None], LIMIT)
            if text:
                request.filter.CopyFrom(filter_pb2.Filter(expression=text))
            asked.append((request, exact(items, query, meets)))
    time.sleep(_SETTLE_S)
    for request, _ in asked[::QUERIES_A_PIVOT]:
        service.search.Search(request)
    shares: list[float] = []
    calls_ms: list[float] = []
    plans: dict[str, int] = {}
    for request, true in asked * PASSES:
        started_s = time.perf_counter()
        (result,) = service.search.Search(request).results
        calls_ms.append((time.perf_counter() - started_s) * 1e3)
        shares.append(len(true & {int(hit.id) for hit in result.hits}) / max(1, len(true)))
        plan = search_pb2.PlanKind.Name(result.plan_kind).removeprefix("PLAN_KIND_").lower()
        plans[plan] = plans.get(plan, 0) + 1
    return Measured(float(np.mean(shares)), calls_ms, plans)


def _scan_ms(items: Filtered) -> float:
    """Return the p99 of one product of a query with all rows, in this process."""
    base = np.ascontiguousarray(items.dataset.base)
    taken: list[float] = []
    for query in items.queries.reshape(-1, items.queries.shape[2]):
        started_s = time.perf_counter()
        np.argpartition(base @ query, -LIMIT)
        taken.append((time.perf_counter() - started_s) * 1e3)
    return percentile(taken, 99)
