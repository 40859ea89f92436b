"""Pages of hits: what stands after a place, in an order that is the same for each page.

Scores are exact and equal ones go by id, so a place, score and id, divides all items
in the same way however often it is looked for, and whatever else is stored or deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from search_service.domain.queries import Hit, HitPlace, QueryRequest
from search_service.shard.live.view import LiveView
from search_service.shard.search.by_item import search_items
from search_service.shard.search.ranking import LEAST_FLOOR, Ranked
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.task import Answer, Task
from search_service.shard.search.tuning import MORE_ROWS

# Hits of one query, and where its page ended if others may follow.
Page = tuple[list[Hit], HitPlace | None]


def search_pages(
    live: LiveView, task: Task, requests: Sequence[QueryRequest], pool: ScanPool
) -> tuple[Answer, list[Page]]:
    """Rank ever more rows until they fill the page of every query, or none are left."""
    countable = live.items if task.matches is None else len(task.matches.ordinals)
    while True:
        found = search_items(live, task, pool)
        pages, enough = _pages(live, found.ranked, requests, task.count)
        if enough or task.count >= countable:
            return found, pages
        task = replace(task, count=min(task.count * MORE_ROWS, countable))


def _pages(
    live: LiveView, ranked: Ranked, requests: Sequence[QueryRequest], count: int
) -> tuple[list[Page], bool]:
    """Cut pages out of ranked rows; False where one may lack some."""
    queries = sum(len(request.vectors) for request in requests)
    bounds = np.searchsorted(ranked.query, np.arange(queries + 1)).tolist()
    pages: list[Page] = []
    enough = True
    for request in requests:
        for index in range(len(request.vectors)):
            first, last = bounds[len(pages)], bounds[len(pages) + 1]
            hits = _hits_after(live, ranked, slice(first, last), request, index)
            full = len(hits) > request.limit
            enough = enough and (full or last - first < count)
            end = _end(hits[request.limit - 1], request) if full else None
            pages.append((hits[: request.limit], end))
    return pages, enough


def _hits_after(
    live: LiveView, ranked: Ranked, rows: slice, request: QueryRequest, index: int
) -> list[Hit]:
    """Return the hits of a query that stand after its place, best first."""
    assert request.after is not None, "a page"
    after, left_out = request.after.order, request.exclude[index] if request.exclude else ()
    floor = LEAST_FLOOR if request.min_score is None else np.float32(request.min_score)
    hits = [
        Hit(live.ids[ordinal] or "", score, matched=place)
        for ordinal, score, place in zip(
            ranked.ordinal[rows].tolist(),
            ranked.score[rows].tolist(),
            ranked.places(rows),
            strict=True,
        )
        if score >= floor
    ]
    hits.sort(key=_order)
    return [hit for hit in hits if _order(hit) > after and hit.id not in left_out]


def _order(hit: Hit) -> tuple[float, str]:
    return (-hit.score, hit.id)


def _end(last: Hit, request: QueryRequest) -> HitPlace:
    assert request.after is not None, "a page"
    return HitPlace(last.score, last.id, request.after.rank + request.limit)
