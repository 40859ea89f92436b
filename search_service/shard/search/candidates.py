"""Rows that may be among a query's best, and their exact ranking.

Candidates are chosen in float32 with a margin, then scored in float64 and
rounded once, so a score does not depend on how the work was cut into products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from search_service.domain.arrays import F32, I64, Flags
from search_service.shard.live.head import HeadView
from search_service.shard.live.memory import LiveView
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.exact import scores_of_pairs

Source: TypeAlias = HeadView | Sealed

# A float32 product of unit vectors of up to 4,096 dimensions is off by less than
# this (tests/unit/search_service/shard/test_candidates.py).
MARGIN = np.float32(4e-6)
LEAST = np.float32(-np.inf)
# Under every cosine, and above what does not count.
LEAST_FLOOR = np.float32(-2.0)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Best first within each query: query int64 [n], ordinal int64 [n], score float32 [n]."""

    query: I64
    ordinal: I64
    score: F32


@dataclass(frozen=True, slots=True)
class Chosen:
    """Scores that may be among the best: their row and column int64 [n], float32 [n].

    `least`, float32 [B], is what the others were below; `compared` their number.
    """

    least: F32
    query: I64
    column: I64
    score: F32
    compared: int


@dataclass(frozen=True, slots=True)
class _Part:
    source: Source
    query: I64
    row: I64
    score: F32
    exact: bool


class Candidates:
    """Collects, for each of B queries, the rows that can be among its best `count`."""

    def __init__(self, queries: F32, count: int, floor: F32) -> None:
        """`queries` is float32 [B, D]; `floor`, float32 [B], the least score wanted.

        `radius`, float32 [B], is the score down to which every source gave all its
        rows; what lies below may have unseen rows before it.
        """
        self._queries = queries
        self._count = count
        self._least = np.maximum(floor, LEAST_FLOOR) - MARGIN
        self.radius: F32 = np.full(len(queries), LEAST, dtype=np.float32)
        self._parts: list[_Part] = []
        self.compared = 0

    def choose(self, scores: F32, numbers: I64 | None = None) -> Chosen:
        """Pick from float32 scores [B, n], -inf for none; safe from several threads.

        With `numbers`, int64 [b], the scores are those of these queries, [b, n]. What
        others took meanwhile may not be seen: then more is chosen, never less.
        """
        least, width = self._least, scores.shape[1]
        mine = least if numbers is None else least[numbers]
        if width > self._count:
            # The count-th best of one block is a bound for the best of all blocks.
            place = width - self._count
            kth = np.partition(scores, place, axis=1)[:, place]
            mine = np.maximum(mine, kth - MARGIN)
        if numbers is None:
            least = mine
        else:
            least = least.copy()
            least[numbers] = mine
        query, column = np.nonzero(scores >= mine[:, None])
        return Chosen(least, query, column, scores[query, column], width)

    def take(self, source: Source, rows: I64, chosen: Chosen) -> None:
        """Keep what was chosen from columns that stand for `rows`, int64 [n]."""
        self._keep(source, chosen.query, rows[chosen.column], chosen, exact=False)

    def take_each(self, source: Source, rows: I64, scores: F32, numbers: I64 | None = None) -> None:
        """Keep the best where each query has rows of its own: int64 and float32 [B, n].

        Their scores are exact already (`search_service.shard.search.exact`). `numbers` as for
        `choose`.
        """
        chosen = self.choose(scores, numbers)
        query = chosen.query if numbers is None else numbers[chosen.query]
        self._keep(source, query, rows[chosen.query, chosen.column], chosen, exact=True)

    def may_lack(self, scores: F32) -> bool:
        """Say whether the least of exact scores, [B, n], is among the best of their query.

        If so, what is not among them may be as good.
        """
        place = max(0, scores.shape[1] - self._count)
        kth = np.partition(scores, place, axis=1)[:, place]
        return bool(np.any(scores.min(axis=1) >= kth))

    def reach(self, radius: F32) -> None:
        """Say down to which score, float32 [B], a source gave all its rows."""
        self.radius = np.maximum(self.radius, radius)

    def rank(self, snapshot: LiveView, allowed: Flags | None) -> Ranked:
        """Score exactly; live, allowed ordinals only, equal scores in any order.

        A query may keep more than its `count`, where scores are close.
        """
        queries: list[I64] = []
        ordinals: list[I64] = []
        scores: list[F32] = []
        for part, chosen in zip(self._parts, self._close_enough(), strict=True):
            query, row, score = part.query[chosen], part.row[chosen], part.score[chosen]
            if not part.exact:
                score = scores_of_pairs(part.source.rows, row, self._queries, query)
            if isinstance(part.source, Sealed):
                which, ordinal = part.source.expand(row)
                query, score = query[which], score[which]
            else:
                ordinal = part.source.ordinals[row]
            counts = snapshot.alive(ordinal)
            if allowed is not None:
                counts &= allowed[ordinal]
            queries.append(query[counts])
            ordinals.append(ordinal[counts])
            scores.append(score[counts])
        if not queries:
            none = np.empty(0, dtype=np.int64)
            return Ranked(none, none, np.empty(0, dtype=np.float32))
        query, score = np.concatenate(queries), np.concatenate(scores)
        order = np.lexsort((-score, query))
        return Ranked(query[order], np.concatenate(ordinals)[order], score[order])

    def _keep(self, source: Source, query: I64, rows: I64, chosen: Chosen, *, exact: bool) -> None:
        self.compared += chosen.compared
        self._least = np.maximum(self._least, chosen.least)
        if len(rows):
            self._parts.append(_Part(source, query, rows, chosen.score, exact))

    def _close_enough(self) -> list[Flags | slice]:
        """Say for each part which rows reach the count-th best over all parts."""
        if len(self._parts) < 2:
            return [slice(None)] * len(self._parts)  # `choose` has seen to it
        query = np.concatenate([part.query for part in self._parts])
        score = np.concatenate([part.score for part in self._parts])
        order = np.lexsort((-score, query))
        starts = np.searchsorted(query[order], np.arange(len(self._queries) + 1))
        enough = starts[:-1] + self._count - 1 < starts[1:]
        place = np.minimum(starts[:-1] + self._count - 1, len(order) - 1)
        bound = np.where(enough, score[order[place]] - MARGIN, LEAST)
        return [part.score >= bound[part.query] for part in self._parts]
