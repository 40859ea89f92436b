"""Turns a gathered group of requests into outcomes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from lookalike.wire.vectors import F32
from search_service.segments.errors import SegmentDamaged
from search_service.shard.candidates import LEAST_FLOOR, Ranked
from search_service.shard.engine import Waiting, wanted_rows
from search_service.shard.filter_index import FilterIndex
from search_service.shard.memory import Memory, Snapshot
from search_service.shard.plan import Answer, Task, answer
from search_service.shard.reads import ItemReader
from search_service.shard.types import Fields, Hit, Plan, QueryOutcome, QueryRequest

NO_FIELDS = Fields()


class Answering:
    """Answers groups over memory, and reads the fields that hits are to carry."""

    def __init__(
        self,
        memory: Memory,
        filters: FilterIndex,
        reader: ItemReader,
        *,
        expansion: Callable[[], int],
        heal: Callable[[], None],
        threads: int,
    ) -> None:
        """`heal` takes segments that proved damaged out of memory."""
        self._memory = memory
        self._filters = filters
        self._reader = reader
        self._expansion = expansion
        self._heal = heal
        self._threads = threads

    def __call__(self, group: list[Waiting]) -> list[list[QueryOutcome]]:
        """Answer requests that share exact, expansion and filter, in their order."""
        while True:
            try:
                return self._answer(group)
            except SegmentDamaged:
                self._heal()

    def _answer(self, group: list[Waiting]) -> list[list[QueryOutcome]]:
        begun_s = time.monotonic()
        first = group[0].request
        with ExitStack() as held:
            with self._memory.lock:  # so that both are of one moment
                snapshot = held.enter_context(self._memory.snapshot())
                matches = (
                    None
                    if first.filter is None
                    else self._filters.matches(first.filter, snapshot.upto)
                )
            filtered_s = time.monotonic()
            task = Task(
                queries=_joined([one.request for one in group]),
                floor=_floors([one.request for one in group]),
                count=max(wanted_rows(one.request) for one in group),
                exact=first.exact,
                expansion=first.expansion_search or self._expansion(),
                matches=matches,
            )
            found = answer(snapshot, task, self._threads)
            hits = _hits(snapshot, found.ranked, [one.request for one in group])
        searched_s = time.monotonic()
        plan = Plan(
            kind=found.kinds[0],
            items=snapshot.items,
            filter_matches=snapshot.items if matches is None else len(matches.ordinals),
            candidates=found.candidates,
            expansion_search=found.expansion,
            gathered_queries=len(task.queries),
            filter_s=filtered_s - begun_s,
            wait_s=0.0,
            search_s=searched_s - filtered_s,
        )
        return self._outcomes(group, hits, found, plan, begun_s)

    def _outcomes(
        self,
        group: list[Waiting],
        hits: list[list[Hit]],
        found: Answer,
        plan: Plan,
        begun_s: float,
    ) -> list[list[QueryOutcome]]:
        outcomes: list[list[QueryOutcome]] = []
        start = 0
        for one in group:
            end = start + len(one.request.vectors)
            mine = hits[start:end]
            if one.request.fields != NO_FIELDS:
                mine = self._with_items(mine, one.request.fields)
            base = replace(plan, wait_s=begun_s - one.since_s)
            plans = {kind: replace(base, kind=kind) for kind in set(found.kinds[start:end])}
            outcomes.append(
                [
                    QueryOutcome(some, plans[kind])
                    for some, kind in zip(mine, found.kinds[start:end], strict=True)
                ]
            )
            start = end
        return outcomes

    def _with_items(self, hits: list[list[Hit]], fields: Fields) -> list[list[Hit]]:
        """Read what hits carry; one that was deleted meanwhile is left out."""
        items = self._reader.get(list({hit.id for some in hits for hit in some}), fields)
        return [
            [Hit(hit.id, hit.score, items[hit.id]) for hit in some if hit.id in items]
            for some in hits
        ]


def _joined(requests: list[QueryRequest]) -> F32:
    if len(requests) == 1:
        return np.ascontiguousarray(requests[0].vectors, dtype=np.float32)
    return np.concatenate([request.vectors for request in requests]).astype(np.float32, copy=False)


def _floors(requests: list[QueryRequest]) -> F32:
    return np.concatenate(
        [
            np.full(
                len(request.vectors),
                LEAST_FLOOR if request.min_score is None else request.min_score,
                dtype=np.float32,
            )
            for request in requests
        ]
    )


def _hits(snapshot: Snapshot, ranked: Ranked, requests: list[QueryRequest]) -> list[list[Hit]]:
    """List each query's hits, best first, equal scores by id."""
    queries = sum(len(request.vectors) for request in requests)
    bounds = np.searchsorted(ranked.query, np.arange(queries + 1)).tolist()
    ids = [snapshot.ids[ordinal] or "" for ordinal in ranked.ordinal.tolist()]
    scores = ranked.score.tolist()
    equal = (ranked.score[1:] == ranked.score[:-1]) & (ranked.query[1:] == ranked.query[:-1])
    tied = set(ranked.query[:-1][equal].tolist())
    found: list[list[Hit]] = []
    for request in requests:
        plain = request.min_score is None and not request.exclude
        for index in range(len(request.vectors)):
            query = len(found)
            first, last = bounds[query], bounds[query + 1]
            if plain and query not in tied:
                last = min(last, first + request.limit)
                found.append(list(map(Hit, ids[first:last], scores[first:last])))
                continue
            pairs = sorted(
                zip(ids[first:last], scores[first:last], strict=True),
                key=lambda pair: (-pair[1], pair[0]),
            )
            left_out = request.exclude[index] if request.exclude else frozenset()
            floor = LEAST_FLOOR if request.min_score is None else np.float32(request.min_score)
            kept = [pair for pair in pairs if pair[0] not in left_out and pair[1] >= floor]
            found.append([Hit(id, score) for id, score in kept[: request.limit]])
    return found
