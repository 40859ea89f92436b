"""Gathers ranked rows by the values of a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, I64
from search_service.domain.conditions import Scalar
from search_service.domain.queries import Hit, HitGroup, QueryRequest
from search_service.filters.spread import Spread
from search_service.shard.search.ranking import LEAST_FLOOR


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one query asks of its groups."""

    limit: int
    hits_per_group: int
    floor: np.float32
    left_out: frozenset[str]

    @staticmethod
    def of(requests: Sequence[QueryRequest]) -> list[Wanted]:
        """Return what each query of `requests` asks for."""
        return [
            Wanted(
                request.limit,
                1 if request.group_by is None else request.group_by.hits_per_group,
                LEAST_FLOOR if request.min_score is None else np.float32(request.min_score),
                request.exclude[index] if request.exclude else frozenset(),
            )
            for request in requests
            for index in range(len(request.vectors))
        ]


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one query, best first.

    Group g has value `values[g]`; its hits are `rows[starts[g]:starts[g + 1]]`, each an
    ordinal with its score. `seen` counts the ranked rows that hold its value, those too
    that are no hits. All int64 but `scores`, float32.
    """

    values: Sequence[Scalar]
    starts: I64
    ordinals: I64
    scores: F32
    seen: I64

    @staticmethod
    def none() -> Groups:
        """No groups."""
        no = np.empty(0, dtype=np.int64)
        return Groups((), np.zeros(1, dtype=np.int64), no, no.astype(np.float32), no)

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self.values)

    def not_full(self, hits_per_group: int) -> list[tuple[Scalar, int]]:
        """List the values of groups with fewer hits, with how many rows were seen of each."""
        short = np.flatnonzero(np.diff(self.starts) < hits_per_group).tolist()
        return [(self.values[place], int(self.seen[place])) for place in short]

    def hits(self, ids: Sequence[str | None], places: Mapping[int, int]) -> list[HitGroup]:
        """Return what a caller gets; `ids` is indexed by ordinal, `places` says which vector of
        an item has the score, the first where it does not."""
        hits = [
            Hit(ids[ordinal] or "", score, matched=places.get(ordinal, 0))
            for ordinal, score in zip(self.ordinals.tolist(), self.scores.tolist(), strict=True)
        ]
        bounds = self.starts.tolist()
        return [
            HitGroup(value, hits[start:end])
            for value, start, end in zip(self.values, bounds, bounds[1:], strict=False)
        ]


def gather(
    ordinals: I64, scores: F32, ids: Sequence[str | None], spread: Spread, wanted: Wanted
) -> Groups:
    """Gather the ranked rows of one query: int64 and float32 [n], best first.

    `spread` says what they hold, at least. A row is in the group of each value that it
    holds, and of new values the lesser come first. Equal scores stand by id.
    """
    order = _by_id(ordinals, scores, ids)
    ordinals, scores = ordinals[order], scores[order]
    row, code = _pairs(ordinals, spread)
    counts = scores[row] >= wanted.floor
    if wanted.left_out:
        held = [ids[ordinal] not in wanted.left_out for ordinal in ordinals.tolist()]
        counts &= np.array(held, dtype=np.bool_)[row]
    counted = row[counts]
    values, first, which = np.unique(code[counts], return_index=True, return_inverse=True)
    best = np.argsort(first)[: wanted.limit]
    place = np.full(len(values), len(best), dtype=np.int64)
    place[best] = np.arange(len(best))
    group = place[which]
    by_group = np.argsort(group, kind="stable")  # within a group the best stay first
    by_group = by_group[: np.count_nonzero(group < len(best))]
    starts = np.searchsorted(group[by_group], np.arange(len(best) + 1))
    within = np.arange(len(by_group)) - starts[group[by_group]]
    kept = by_group[within < wanted.hits_per_group]
    chosen = counted[kept]
    return Groups(
        values=[spread.values[one] for one in values[best].tolist()],
        starts=np.searchsorted(group[kept], np.arange(len(best) + 1)),
        ordinals=ordinals[chosen],
        scores=scores[chosen],
        seen=_count(code, values[best]),
    )


def _count(codes: I64, among: I64) -> I64:
    """Return how often each of `among` stands in `codes`, int64 [n]."""
    there = np.sort(codes)
    counted: I64 = np.searchsorted(there, among, "right") - np.searchsorted(there, among, "left")
    return counted


def _pairs(ordinals: I64, spread: Spread) -> tuple[I64, I64]:
    """Return number of a row and code of a value, int64 [p], rows and then codes ascending."""
    order = np.argsort(spread.ordinals, kind="stable")
    holders, codes = spread.ordinals[order], spread.codes[order]
    first = np.searchsorted(holders, ordinals, "left")
    counts = np.searchsorted(holders, ordinals, "right") - first
    row = np.repeat(np.arange(len(ordinals)), counts)
    before = np.cumsum(counts) - counts
    return row, codes[np.repeat(first - before, counts) + np.arange(len(row))]


def _by_id(ordinals: I64, scores: F32, ids: Sequence[str | None]) -> I64:
    """Return an order of the rows, int64 [n], in which equal scores stand by id."""
    order = np.arange(len(scores))
    edges = np.diff(np.concatenate([[0], scores[1:] == scores[:-1], [0]]))
    for start, end in zip(
        np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True
    ):
        tied = range(start, end + 1)
        order[start : end + 1] = sorted(tied, key=lambda row: ids[int(ordinals[row])] or "")
    return order
