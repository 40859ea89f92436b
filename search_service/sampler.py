"""Live recall: some of the graph's answers are checked against an exact scan."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lookalike.wire.errors import LookalikeError
from search_service.catalog.collection import Collection
from search_service.domain.items import Fields
from search_service.domain.queries import Hit, PlanKind, QueryOutcome, QueryPlan, QueryRequest
from search_service.metrics import SearchMetrics

_log = logging.getLogger(__name__)

_MAX_WAITING = 32
# Exact scans take at most this share of the time: the live queries that run beside
# one, and are slower for it, are too few to show in a 99th percentile.
_DUTY = 0.005
# Samples older than this would measure the changes since, not the graph.
_MAX_AGE_S = 5.0
# Scores are float32: what differs by less is a tie.
_TIE = 1e-6

# Answers that may have missed something, or might have but for a fallback.
_CHECKED_PLANS = frozenset(PlanKind) - {PlanKind.EXACT, PlanKind.EXACT_FILTERED}
# Upper bounds of the share of items that meets the filter, and their names.
_SELECTIVITY = ((0.001, "0.1%"), (0.01, "1%"), (0.1, "10%"), (0.5, "50%"))


@dataclass(frozen=True, slots=True)
class _Sample:
    collection: Collection
    request: QueryRequest
    hits: Sequence[Hit]
    plan: QueryPlan
    taken_s: float


class RecallSampler:
    """Takes a share of live queries and runs them again, exactly, one at a time.

    `offer` never waits: past a bound the sample is dropped and counted.
    """

    def __init__(self, share: float, metrics: SearchMetrics, *, seed: int | None = None) -> None:
        self._share = share
        self._metrics = metrics
        # Not for secrets: which queries are sampled is no secret.
        self._random = random.Random(seed)  # noqa: S311
        self._waiting: asyncio.Queue[_Sample] = asyncio.Queue(_MAX_WAITING)

    def offer(
        self, collection: Collection, request: QueryRequest, outcomes: Sequence[QueryOutcome]
    ) -> None:
        """Perhaps take one query of an answered request as a sample."""
        if self._share <= 0.0 or request.exact or request.group_by is not None or request.reranked:
            return
        if self._random.random() >= self._share:
            return
        index = self._random.randrange(len(outcomes))
        outcome = outcomes[index]
        if outcome.plan.kind not in _CHECKED_PLANS:
            return
        sample = _Sample(
            collection, _exactly(request, index), outcome.hits, outcome.plan, time.monotonic()
        )
        try:
            self._waiting.put_nowait(sample)
        except asyncio.QueueFull:
            self._metrics.recall_dropped.inc()

    async def run(self) -> None:
        """Work on samples until cancelled."""
        while True:
            sample = await self._waiting.get()
            started_s = time.monotonic()
            if started_s - sample.taken_s > _MAX_AGE_S:
                self._metrics.recall_dropped.inc()
                continue
            await self._measure(sample)
            took_s = time.monotonic() - started_s
            await asyncio.sleep(took_s / _DUTY)

    async def _measure(self, sample: _Sample) -> None:
        try:
            future = sample.collection.shard.query(sample.request)
            exact = (await asyncio.wrap_future(future))[0].hits
        except LookalikeError as error:
            # Overloaded, closed or deleted meanwhile: the sample is not worth a wait.
            _log.debug("recall sample dropped", extra={"reason": error.reason.name})
            self._metrics.recall_dropped.inc()
            return
        if exact:
            self._metrics.observe_recall(
                sample.collection.name,
                selectivity_of(sample.plan, filtered=sample.request.filter is not None),
                recall_of(sample.hits, exact),
            )


def recall_of(found: Sequence[Hit], exact: Sequence[Hit]) -> float:
    """Return the share of the exact hits that were found; ties count as found."""
    least = exact[-1].score - _TIE
    good = sum(1 for hit in found if hit.score >= least)
    return min(1.0, good / len(exact))


def selectivity_of(plan: QueryPlan, *, filtered: bool) -> str:
    """Return the class of the share of items that meets the filter."""
    if not filtered or not plan.items:
        return "none"
    share = plan.filter_matches / plan.items
    return next((name for bound, name in _SELECTIVITY if share <= bound), "100%")


def _exactly(request: QueryRequest, index: int) -> QueryRequest:
    """Return one query of `request` alone, exact, with ids and scores only."""
    return replace(
        request,
        vectors=request.vectors[index : index + 1].copy(),
        exact=True,
        exclude=request.exclude[index : index + 1],
        fields=Fields(),
        deadline_s=time.monotonic() + 2 * _MAX_AGE_S,
    )
