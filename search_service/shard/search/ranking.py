"""Rows that may be among a query's best, and their exact ranking.

Rows are chosen in float32 with a margin, then scored in float64 and rounded once, so
a score does not depend on how the work was cut into products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from search_service.domain.arrays import F32, I64, Flags
from search_service.shard.live.head import HeadView
from search_service.shard.live.sealed import Sealed
from search_service.shard.live.view import LiveView
from search_service.shard.search.exact import scores_of_pairs

Source: TypeAlias = HeadView | Sealed

# A float32 product of unit vectors of up to 4,096 dimensions is off by less than
# this (tests/unit/search_service/shard/test_ranking.py).
MARGIN = np.float32(4e-6)
LEAST = np.float32(-np.inf)
# Under every cosine, and above what does not count.
LEAST_FLOOR = np.float32(-2.0)


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a source that may be among the best: query and row int64 [n], score float32 [n].

    `exact` says that scores are final. Of `compared` rows a query, these were chosen.
    `radius`, float32 [B], is the score down to which the source gave all its rows;
    None where it gave all that count.
    """

    source: Source
    query: I64
    row: I64
    score: F32
    exact: bool
    compared: int
    radius: F32 | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """Best first within each query: query int64 [n], ordinal int64 [n], score float32 [n].

    Of items, `ordinal` is the item's and `matched`, int64 [n], the ordinal of the vector that
    has the score; None where each item has one.
    """

    query: I64
    ordinal: I64
    score: F32
    matched: I64 | None = None

    def places(self, rows: slice) -> list[int]:
        """Return the number among its item's vectors of the one that each row is of."""
        if self.matched is None:
            return [0] * len(self.ordinal[rows])
        places: list[int] = (self.matched[rows] - self.ordinal[rows]).tolist()
        return places


class Bound:
    """The score below which a row cannot be among a query's best `count`; it only rises.

    Any thread may choose. One that misses what another raised meanwhile chooses more,
    never less.
    """

    def __init__(self, floor: F32, count: int) -> None:
        """`floor`, float32 [B], is the least score wanted."""
        self._least: F32 = np.maximum(floor, LEAST_FLOOR) - MARGIN
        self.count = count

    def choose(self, source: Source, rows: I64, scores: F32) -> Found:
        """Pick from scores, float32 [B, n], -inf for none; columns are `rows`, int64 [n]."""
        query, column = self._above(scores, None)
        return Found(
            source,
            query,
            rows[column],
            scores[query, column],
            exact=False,
            compared=scores.shape[1],
        )

    def choose_each(
        self,
        source: Source,
        rows: I64,
        scores: F32,
        numbers: I64 | None = None,
        radius: F32 | None = None,
    ) -> Found:
        """Pick where each query has rows of its own: int64 and exact float32 [B, n].

        With `numbers`, int64 [b], rows and scores are those of these queries, [b, n].
        """
        query, column = self._above(scores, numbers)
        mine = query if numbers is None else numbers[query]
        return Found(
            source,
            mine,
            rows[query, column],
            scores[query, column],
            exact=True,
            compared=scores.shape[1],
            radius=radius,
        )

    def may_lack(self, scores: F32) -> bool:
        """Say whether the least of exact scores, [B, n], is among the best of their query.

        If so, what is not among them may be as good.
        """
        place = max(0, scores.shape[1] - self.count)
        kth = np.partition(scores, place, axis=1)[:, place]
        return bool(np.any(scores.min(axis=1) >= kth))

    def _above(self, scores: F32, numbers: I64 | None) -> tuple[I64, I64]:
        """Raise the bound by scores; return row and column of those that reach it."""
        least, width = self._least, scores.shape[1]
        mine = least if numbers is None else least[numbers]
        if width > self.count:
            # The count-th best of one block is a bound for the best of all blocks.
            place = width - self.count
            kth = np.partition(scores, place, axis=1)[:, place]
            mine = np.maximum(mine, kth - MARGIN)
            raised = least.copy()
            raised[slice(None) if numbers is None else numbers] = mine
            self._least = np.maximum(self._least, raised)
        query, column = np.nonzero(scores >= mine[:, None])
        return query, column


def rank(
    found: Sequence[Found], queries: F32, count: int, live: LiveView, allowed: Flags | None
) -> Ranked:
    """Score exactly; live, allowed ordinals only, equal scores in any order.

    A query may keep more than its `count`, where scores are close.
    """
    parts = [part for part in found if len(part.row)]
    ranked = [
        _ranked(part, chosen, queries, live, allowed)
        for part, chosen in zip(parts, _close_enough(parts, len(queries), count), strict=True)
    ]
    if not ranked:
        none = np.empty(0, dtype=np.int64)
        return Ranked(none, none, np.empty(0, dtype=np.float32))
    query = np.concatenate([part.query for part in ranked])
    score = np.concatenate([part.score for part in ranked])
    order = np.lexsort((-score, query))
    ordinal = np.concatenate([part.ordinal for part in ranked])
    return Ranked(query[order], ordinal[order], score[order])


def radius_of(found: Sequence[Found], queries: int) -> F32:
    """Return the score, float32 [B], down to which every source gave all its rows."""
    radius: F32 = np.full(queries, LEAST, dtype=np.float32)
    for part in found:
        if part.radius is not None:
            radius = np.maximum(radius, part.radius)
    return radius


def _ranked(
    part: Found, chosen: Flags | slice, queries: F32, live: LiveView, allowed: Flags | None
) -> Ranked:
    query, row, score = part.query[chosen], part.row[chosen], part.score[chosen]
    if not part.exact:
        score = scores_of_pairs(part.source.rows, row, queries, query)
    if isinstance(part.source, Sealed):
        which, ordinal = part.source.expand(row)
        query, score = query[which], score[which]
    else:
        ordinal = part.source.ordinals[row]
    counts = live.alive(ordinal)
    if allowed is not None:
        counts &= allowed[ordinal]
    return Ranked(query[counts], ordinal[counts], score[counts])


def _close_enough(parts: Sequence[Found], queries: int, count: int) -> list[Flags | slice]:
    """Say for each part which rows reach the count-th best over all parts."""
    if len(parts) < 2:
        return [slice(None)] * len(parts)  # the bound has seen to it
    query = np.concatenate([part.query for part in parts])
    score = np.concatenate([part.score for part in parts])
    order = np.lexsort((-score, query))
    starts = np.searchsorted(query[order], np.arange(queries + 1))
    enough = starts[:-1] + count - 1 < starts[1:]
    place = np.minimum(starts[:-1] + count - 1, len(order) - 1)
    bound = np.where(enough, score[order[place]] - MARGIN, LEAST)
    return [part.score >= bound[part.query] for part in parts]
