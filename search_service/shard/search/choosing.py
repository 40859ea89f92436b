"""Orders the nearest items of each query by more than their cosine, and chooses hits.

The nearest are candidates; their rank scores are computed exactly, and hits chosen by
these, one by one where they shall differ from each other: maximal marginal relevance
(Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering
documents and producing summaries", SIGIR 1998).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, F64, I64
from search_service.domain.queries import Hit, QueryRequest
from search_service.domain.ranking import BestScore, BoostPart, HitRanking, Ranking, best_of
from search_service.shard.live.view import LiveView
from search_service.shard.search.exact import scores_each
from search_service.shard.search.ranking import LEAST, LEAST_FLOOR, Ranked

_PLAIN = Ranking()
# Of one boost, the values that count by ordinal.
Values = Mapping[int, list[float]]


@dataclass(frozen=True, slots=True)
class Reranked:
    """Hits of one query, how many items they were chosen from, and whether of all."""

    hits: list[Hit]
    candidates: int
    complete: bool


class Candidates:
    """What the vectors of a query found: distinct ordinals of items, int64 [n] ascending.

    `matched`, int64 [n], has the ordinal of each one's vector that is nearest to one of those.
    """

    def __init__(self, live: LiveView, ranked: Ranked, spans: Sequence[int], count: int) -> None:
        """Take the best `count` of each of `spans`, which follow each other in `ranked`.

        There may be more, for the sake of other requests; which those are must not
        change the hits.
        """
        self.live = live
        rows: list[tuple[float, str, int, int]] = []
        # The best cosine that an item which no vector found can have.
        self.unseen = float(LEAST)
        for start, end in itertools.pairwise(spans):
            ordinals = ranked.ordinal[start:end].tolist()
            scores = ranked.score[start:end].tolist()
            places = ranked.places(slice(start, end))
            found = [
                (-score, live.ids[ordinal] or "", ordinal, place)
                for score, ordinal, place in zip(scores, ordinals, places, strict=True)
            ]
            found.sort()
            if len(found) >= count:
                self.unseen = max(self.unseen, -found[count - 1][0])
            rows += found[:count]
        best = {row[2]: row for row in sorted(rows, reverse=True)}
        self.ordinals: I64 = np.array(sorted(best), dtype=np.int64)
        chosen = [best[ordinal] for ordinal in self.ordinals.tolist()]
        self.ids = [id for _, id, _, _ in chosen]
        # The greatest cosine to a vector that found it, float32 [n].
        self.nearest: F32 = np.array([-far for far, _, _, _ in chosen], np.float32)
        self.places = [place for _, _, _, place in chosen]
        self.matched: I64 = self.ordinals + np.array(self.places, dtype=np.int64)
        if len(self.ordinals) == live.items:
            self.unseen = float(LEAST)


class Choosing:
    """The hits of one query in the making."""

    def __init__(
        self,
        request: QueryRequest,
        index: int,
        query: BestScore,
        found: Candidates,
        values: Sequence[Values],
    ) -> None:
        self._request = request
        self._ranking = request.ranking or _PLAIN
        self._query = query
        self._found = found
        self._values = values
        self._left_out = request.exclude[index] if request.exclude else frozenset()

    def answer(self) -> Reranked:
        """Choose the hits."""
        ordinals = self._found.ordinals
        similarity, negative = self._similarities()
        base = similarity.astype(np.float64)
        if len(self._query.negatives):
            base = np.where(similarity > negative, base, base - negative - 1.0)
        parts = [
            tuple(
                best_of(boost, held.get(ordinal, []))
                for boost, held in zip(self._ranking.boosts, self._values, strict=True)
            )
            for ordinal in ordinals.tolist()
        ]
        added = np.array([sum(part.added for part in each) for each in parts], np.float64)
        scores = (base + added).astype(np.float32)  # rounded once, as cosines are
        order = self._order(similarity, scores)
        chosen, redundancy = self._chosen(order, scores)
        hits = [
            self._hit(at, similarity, scores, parts[at], negative, redundancy.get(at))
            for at in chosen
        ]
        return Reranked(hits, len(order), self._complete(hits, len(order)))

    def _similarities(self) -> tuple[F32, F32]:
        """The greatest cosines to a positive and to a negative: float32 [n] both."""
        positives, negatives = self._query.positives, self._query.negatives
        none: F32 = np.full(len(self._found.ordinals), LEAST, dtype=np.float32)
        if not len(none) or (len(positives) == 1 and not len(negatives)):
            return self._found.nearest, none
        live = self._found.live
        ordinals, starts = live.vectors_of(self._found.ordinals)
        rows = rows_of(live, ordinals, positives.shape[1])
        nearest = _greatest(rows, starts, positives)
        return nearest, _greatest(rows, starts, negatives) if len(negatives) else none

    def _order(self, similarity: F32, scores: F32) -> list[int]:
        """Places of the candidates that may be hits, best first, equal ones by id."""
        least = self._request.min_score
        floor = LEAST_FLOOR if least is None else np.float32(least)
        ids = self._found.ids
        kept = [
            at
            for at in np.flatnonzero(similarity >= floor).tolist()
            if ids[at] not in self._left_out
        ]
        kept.sort(key=lambda at: (-scores[at], ids[at]))
        return kept

    def _chosen(self, order: list[int], scores: F32) -> tuple[list[int], dict[int, float]]:
        """The places of the hits, and each one's redundancy where that counted."""
        weight = self._ranking.diversity
        if not weight:
            return order[: self._request.limit], {}
        matched, width = self._found.matched, self._query.positives.shape[1]
        # Vectors of items ascend as these do: an item's follow one another.
        rows = rows_of(self._found.live, matched, width)
        left = np.array(order, dtype=np.int64)
        relevance: F64 = scores[left].astype(np.float64)
        nearest: F64 = np.full(len(left), -np.inf)
        open_ = np.ones(len(left), dtype=np.bool_)
        chosen: list[int] = []
        redundancy: dict[int, float] = {}
        while len(chosen) < min(self._request.limit, len(left)):
            gain = (1.0 - weight) * relevance
            if chosen:
                gain = gain - weight * nearest
            gain[~open_] = -np.inf
            at = int(gain.argmax())  # of equal ones the first: they stand in order
            open_[at] = False
            if chosen:
                redundancy[int(left[at])] = float(nearest[at])
            chosen.append(int(left[at]))
            to_it = scores_each(rows, left[None, :], rows[left[at]][None, :])[0]
            nearest = np.maximum(nearest, to_it)
        return chosen, redundancy

    def _hit(
        self,
        at: int,
        similarity: F32,
        scores: F32,
        parts: tuple[BoostPart, ...],
        negative: F32,
        redundancy: float | None,
    ) -> Hit:
        far = float(negative[at]) if len(self._query.negatives) else None
        why = HitRanking(float(scores[at]), parts, redundancy, far)
        found = self._found
        return Hit(found.ids[at], float(similarity[at]), None, why, found.places[at])

    def _complete(self, hits: list[Hit], candidates: int) -> bool:
        """Whether an item that is no candidate cannot be among the hits."""
        if self._found.unseen == float(LEAST):
            return True
        if self._ranking.diversity or len(hits) < self._request.limit:
            return False
        most = sum(max(0.0, boost.weight) for boost in self._ranking.boosts)
        least = min((hit.ranking.rank_score for hit in hits if hit.ranking), default=-np.inf)
        return least > self._found.unseen + most


def _greatest(rows: F32, starts: I64, vectors: F32) -> F32:
    """Return float32 [n]: the greatest cosine of an item's rows to any of `vectors`.

    `rows` is float32 [m, D], those of item i from `starts[i]` on; `vectors` float32 [k, D].
    """
    nodes = np.tile(np.arange(len(rows)), (len(vectors), 1))
    each = scores_each(rows, nodes, np.ascontiguousarray(vectors)).max(axis=0)
    greatest: F32 = np.maximum.reduceat(each, starts)
    return greatest


def rows_of(live: LiveView, ordinals: I64, dimension: int) -> F32:
    """Return the rows of live ordinals, int64 [n] ascending: float32 [n, dimension]."""
    rows: F32 = np.zeros((len(ordinals), dimension), dtype=np.float32)
    for sealed in live.sealed:
        here, nodes = sealed.locate(ordinals)
        sealed.segment.check_rows(np.unique(nodes))
        rows[np.searchsorted(ordinals, here)] = sealed.rows[nodes]
    for view in live.head:
        held = np.isin(view.ordinals, ordinals)
        rows[np.searchsorted(ordinals, view.ordinals[held])] = view.rows[held]
    return rows
