"""Turns requests that were gathered into one call into outcomes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

import numpy as np

from lookalike.wire.errors import LimitExceeded, LookalikeError
from search_service.domain.arrays import F32
from search_service.domain.items import NO_FIELDS, Fields
from search_service.domain.queries import (
    Hit,
    HitGroup,
    HitPlace,
    QueryOutcome,
    QueryPlan,
    QueryRequest,
)
from search_service.segments.errors import SegmentDamaged
from search_service.shard.live.matches import Matches
from search_service.shard.live.memory import Memory
from search_service.shard.live.view import LiveView
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.search.by_item import search_items
from search_service.shard.search.carried import CarriedItems
from search_service.shard.search.choosing import Reranked
from search_service.shard.search.grouping import search_groups
from search_service.shard.search.line import Waiting, wanted_rows
from search_service.shard.search.paging import search_pages
from search_service.shard.search.ranking import LEAST_FLOOR, Ranked
from search_service.shard.search.reranking import search_reranked
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.task import Answer, Task

NO_GROUPS: Sequence[HitGroup] = ()
# Of one query: hits, or groups of them; where its page ended.
Hits: TypeAlias = tuple[list[Hit], Sequence[HitGroup], HitPlace | None]


class Answerer:
    """Answers gathered requests over memory, and reads the fields that hits are to carry."""

    def __init__(
        self,
        memory: Memory,
        filters: FilterIndex,
        items: CarriedItems,
        *,
        expansion: Callable[[], int],
        heal: Callable[[], None],
        pool: ScanPool,
    ) -> None:
        """`heal` takes segments that proved damaged out of memory."""
        self._memory = memory
        self._filters = filters
        self._items = items
        self._expansion = expansion
        self._heal = heal
        self._pool = pool

    def answer_here(self, one: Waiting) -> list[QueryOutcome] | LookalikeError | None:
        """Answer a request without a filter; None where that would have to wait."""
        if not self._memory.lock.acquire(blocking=False):
            return None
        with ExitStack() as held:
            try:
                live = held.enter_context(self._memory.view())
            finally:
                self._memory.lock.release()
            try:
                (outcome,) = self._answer_over(live, None, [one], time.monotonic())
            except SegmentDamaged:
                return None
        return outcome

    def answer(self, gathered: list[Waiting]) -> list[list[QueryOutcome] | LookalikeError]:
        """Answer requests that share exact, expansion and filter, in their order."""
        while True:
            try:
                return self._answer(gathered)
            except SegmentDamaged:
                self._heal()

    def _answer(self, gathered: list[Waiting]) -> list[list[QueryOutcome] | LookalikeError]:
        begun_s = time.monotonic()
        first = gathered[0].request
        if first.filter is not None:
            self._filters.prepare(first.filter)
        with ExitStack() as held:
            with self._memory.lock:  # so that both are of one moment
                live = held.enter_context(self._memory.view())
                matches = self._matches(first, live.upto)
            return self._answer_over(live, matches, gathered, begun_s)

    def _answer_over(
        self, live: LiveView, matches: Matches | None, gathered: list[Waiting], begun_s: float
    ) -> list[list[QueryOutcome] | LookalikeError]:
        filtered_s = time.monotonic()
        first = gathered[0].request
        task = Task(
            queries=_joined([one.request for one in gathered]),
            floor=_floors([one.request for one in gathered]),
            count=max(wanted_rows(one.request) for one in gathered),
            exact=first.exact,
            expansion=first.expansion_search or self._expansion(),
            matches=None if matches is None else live.with_further(matches),
        )
        requests = [one.request for one in gathered]
        reranked: list[Reranked] = []
        hits: list[Hits]
        if first.after is not None:
            found, pages = search_pages(live, task, requests, self._pool)
            hits = [(some, NO_GROUPS, end) for some, end in pages]
        elif first.reranked:
            found, reranked = search_reranked(live, task, requests, self._filters, self._pool)
            hits = [(one.hits, NO_GROUPS, None) for one in reranked]
        elif first.group_by is None:
            found = search_items(live, task, self._pool)
            hits = [(some, NO_GROUPS, None) for some in _hits(live, found.ranked, requests)]
        else:
            by = first.group_by.field
            assert matches is not None, "items without the field are left out"
            found, groups = search_groups(
                live, task, matches, by, requests, self._filters, self._pool
            )
            hits = [([], each, None) for each in groups]
        searched_s = time.monotonic()
        plan = QueryPlan(
            kind=found.kinds[0],
            items=live.items,
            filter_matches=live.items if matches is None else len(matches.ordinals),
            candidates=found.candidates,
            expansion_search=found.expansion,
            gathered_queries=len(task.queries),
            filter_s=filtered_s - begun_s,
            wait_s=0.0,
            search_s=searched_s - filtered_s,
            rerank_s=min(found.rerank_s, searched_s - filtered_s),
        )
        outcomes = self._outcomes(gathered, hits, found, plan, begun_s)
        return _with_ranking(outcomes, requests, reranked) if reranked else outcomes

    def _matches(self, request: QueryRequest, upto: int) -> Matches | None:
        if request.group_by is not None:
            return self._filters.matches(request.filter, upto, having=request.group_by.field)
        return None if request.filter is None else self._filters.matches(request.filter, upto)

    def _outcomes(
        self,
        gathered: list[Waiting],
        hits: list[Hits],
        found: Answer,
        plan: QueryPlan,
        begun_s: float,
    ) -> list[list[QueryOutcome] | LookalikeError]:
        outcomes: list[list[QueryOutcome] | LookalikeError] = []
        start = 0
        for one in gathered:
            end = start + len(one.request.vectors)
            mine = hits[start:end]
            begin, start = start, end
            if one.request.fields != NO_FIELDS:
                try:
                    mine = self._with_items(mine, one.request.fields)
                except LimitExceeded as error:  # the others' answers are good
                    outcomes.append(error)
                    continue
            wait_s = begun_s - one.since_s
            plans = {
                kind: replace(plan, kind=kind, wait_s=wait_s)
                for kind in set(found.kinds[begin:end])
            }
            outcomes.append(
                [
                    QueryOutcome(some, plans[kind], groups, end)
                    for (some, groups, end), kind in zip(mine, found.kinds[begin:end], strict=True)
                ]
            )
        return outcomes

    def _with_items(self, hits: list[Hits], fields: Fields) -> list[Hits]:
        """Read what hits carry; one that was deleted meanwhile is left out."""
        ids = {hit.id for some, _, _ in hits for hit in some}
        ids |= {hit.id for _, groups, _ in hits for each in groups for hit in each.hits}
        items = self._items.get(ids, fields)

        def filled(some: Sequence[Hit]) -> list[Hit]:
            return [
                Hit(hit.id, hit.score, items[hit.id], hit.ranking, hit.matched)
                for hit in some
                if hit.id in items
            ]

        return [
            (
                filled(some),
                [HitGroup(each.value, kept) for each in groups if (kept := filled(each.hits))],
                end,
            )
            for some, groups, end in hits
        ]


def _with_ranking(
    outcomes: list[list[QueryOutcome] | LookalikeError],
    requests: list[QueryRequest],
    reranked: list[Reranked],
) -> list[list[QueryOutcome] | LookalikeError]:
    """Say in each query's plan what its hits were chosen from."""
    said: list[list[QueryOutcome] | LookalikeError] = []
    rest = iter(reranked)
    for outcome, request in zip(outcomes, requests, strict=True):
        mine = list(islice(rest, len(request.vectors)))
        if isinstance(outcome, LookalikeError):
            said.append(outcome)
            continue
        said.append(
            [
                QueryOutcome(
                    each.hits,
                    replace(
                        each.plan,
                        ranked_candidates=one.candidates,
                        ranking_complete=one.complete,
                    ),
                )
                for each, one in zip(outcome, mine, strict=True)
            ]
        )
    return said


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


def _hits(live: LiveView, ranked: Ranked, requests: list[QueryRequest]) -> list[list[Hit]]:
    """List each query's hits, best first, equal scores by id."""
    queries = sum(len(request.vectors) for request in requests)
    bounds = [0, len(ranked.query)]
    if queries > 1:
        bounds = np.searchsorted(ranked.query, np.arange(queries + 1)).tolist()
    ids = [live.ids[ordinal] or "" for ordinal in ranked.ordinal.tolist()]
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
                if ranked.matched is None:
                    found.append(list(map(Hit, ids[first:last], scores[first:last])))
                    continue
            places = ranked.places(slice(first, last))
            rows = sorted(
                zip(ids[first:last], scores[first:last], places, strict=True),
                key=lambda row: (-row[1], row[0]),
            )
            left_out = request.exclude[index] if request.exclude else frozenset()
            floor = LEAST_FLOOR if request.min_score is None else np.float32(request.min_score)
            kept = [row for row in rows if row[0] not in left_out and row[1] >= floor]
            found.append([Hit(*row[:2], matched=row[2]) for row in kept[: request.limit]])
    return found
