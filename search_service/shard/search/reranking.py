"""Searches for candidates, and has them ordered by more than their cosine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lookalike.wire.times import parse_time
from search_service.domain.arrays import I64
from search_service.domain.queries import PlanKind, QueryRequest
from search_service.domain.ranking import BestScore, Boost, Ranking
from search_service.shard.live.view import LiveView
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.search.by_item import search_items
from search_service.shard.search.choosing import Candidates, Choosing, Reranked
from search_service.shard.search.line import wanted_rows
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.task import Answer, Task

_PLAIN = Ranking()


def search_reranked(
    live: LiveView,
    task: Task,
    requests: Sequence[QueryRequest],
    filters: FilterIndex,
    pool: ScanPool,
) -> tuple[Answer, list[Reranked]]:
    """Return how the candidates were found, and the hits of each query.

    `task` is that of the queries without their examples.
    """
    queries = _queries(requests)
    vectors = np.concatenate([query.best.positives for query in queries], dtype=np.float32)
    floor = np.repeat(task.floor, [len(query.best.positives) for query in queries])
    found = search_items(live, replace(task, queries=vectors, floor=floor), pool)
    first = requests[0].ranking or _PLAIN  # requests are gathered by their ranking
    values = _values(first.boosts, np.unique(found.ranked.ordinal), filters)
    bounds = np.searchsorted(found.ranked.query, np.arange(len(vectors) + 1)).tolist()
    answers: list[Reranked] = []
    kinds: list[PlanKind] = []
    done = 0
    for query in queries:
        kinds.append(found.kinds[done])
        spans = bounds[done : done + len(query.best.positives) + 1]
        done += len(query.best.positives)
        candidates = Candidates(live, found.ranked, spans, wanted_rows(query.request))
        choosing = Choosing(query.request, query.number, query.best, candidates, values)
        answers.append(choosing.answer())
    return replace(found, kinds=tuple(kinds)), answers


class _Query(NamedTuple):
    request: QueryRequest
    number: int
    best: BestScore


def _queries(requests: Sequence[QueryRequest]) -> list[_Query]:
    """A query without examples that count one by one is near to its vector alone."""
    queries: list[_Query] = []
    for request in requests:
        for index, vector in enumerate(request.vectors):
            best = request.best_scores[index] if request.best_scores else None
            none = np.empty((0, len(vector)), dtype=np.float32)
            queries.append(_Query(request, index, best or BestScore(vector[None, :], none)))
    return queries


def _values(
    boosts: Sequence[Boost], ordinals: I64, filters: FilterIndex
) -> list[dict[int, list[float]]]:
    """For each boost, the values that count, by ordinal."""
    found: list[dict[int, list[float]]] = []
    for boost in boosts:
        spread = filters.spread(boost.field, ordinals)
        numbers = [_number(value, of_times=boost.of_times) for value in spread.values]
        held: defaultdict[int, list[float]] = defaultdict(list)
        for code, ordinal in zip(spread.codes.tolist(), spread.ordinals.tolist(), strict=True):
            number = numbers[code]
            if number is not None:
                held[ordinal].append(number)
        found.append(held)
    return found


def _number(value: object, *, of_times: bool) -> float | None:
    if of_times:
        return parse_time(value) if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
