"""Gathers ranked rows by the values of a field, and says when they are enough."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search_service.domain.conditions import Scalar
from search_service.domain.queries import GroupBy, Hit, HitGroup, QueryRequest
from search_service.filters.spread import Spread
from search_service.shard.search.ranking import LEAST_FLOOR, Ranked

# Counts the items of the search that hold a value.
Holders = Callable[[Scalar], int]


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups of each query; `enough` is false where more rows may change them."""

    groups: list[list[HitGroup]]
    enough: bool


def group_rows(
    ranked: Ranked,
    ids: Sequence[str | None],
    spread: Spread,
    requests: Sequence[QueryRequest],
    count: int,
    holders: Holders,
) -> Grouped:
    """Gather the rows of queries that were ranked `count` deep.

    `spread` says what the ranked items hold.
    """
    held: defaultdict[int, list[int]] = defaultdict(list)
    for code, ordinal in zip(spread.codes.tolist(), spread.ordinals.tolist(), strict=True):
        held[ordinal].append(code)
    sizes: dict[int, int] = {}

    def size(code: int) -> int:
        if code not in sizes:
            sizes[code] = holders(spread.values[code])
        return sizes[code]

    queries = [(request, index) for request in requests for index in range(len(request.vectors))]
    bounds = np.searchsorted(ranked.query, np.arange(len(queries) + 1)).tolist()
    grouped: list[list[HitGroup]] = []
    enough = True
    for number, (request, index) in enumerate(queries):
        span = slice(bounds[number], bounds[number + 1])
        gathering = _Gathering(request, index)
        for score, id, ordinal in _rows(ranked, span, ids):
            gathering.take(Hit(id, score), held[ordinal])
        exhausted = bounds[number + 1] - bounds[number] < count
        enough = enough and (exhausted or gathering.is_whole(size))
        grouped.append([HitGroup(spread.values[c], hits) for c, hits in gathering.groups.items()])
    return Grouped(grouped, enough)


class _Gathering:
    """The groups of one query in the making; rows come best first."""

    def __init__(self, request: QueryRequest, index: int) -> None:
        assert request.group_by is not None, "only requests with groups come here"
        self._by: GroupBy = request.group_by
        self._limit = request.limit
        self._left_out = request.exclude[index] if request.exclude else frozenset()
        least = request.min_score
        self._floor = float(LEAST_FLOOR if least is None else np.float32(least))
        self._seen: Counter[int] = Counter()
        self.groups: dict[int, list[Hit]] = {}

    def take(self, hit: Hit, codes: Sequence[int]) -> None:
        self._seen.update(codes)
        if hit.id in self._left_out or hit.score < self._floor:
            return
        for code in codes:
            hits = self.groups.get(code)
            if hits is None:
                if len(self.groups) == self._limit:
                    continue
                hits = self.groups[code] = []
            if len(hits) < self._by.hits_per_group:
                hits.append(hit)

    def is_whole(self, size: Callable[[int], int]) -> bool:
        """Say whether no further row can change the groups."""
        return len(self.groups) == self._limit and all(
            len(hits) == self._by.hits_per_group or self._seen[code] >= size(code)
            for code, hits in self.groups.items()
        )


def _rows(
    ranked: Ranked, span: slice, ids: Sequence[str | None]
) -> Iterator[tuple[float, str, int]]:
    """Yield score, id and ordinal of a query's rows, best first, equal scores by id."""
    ordinals = ranked.ordinal[span].tolist()
    rows = [
        (score, ids[ordinal] or "", ordinal)
        for score, ordinal in zip(ranked.score[span].tolist(), ordinals, strict=True)
    ]
    rows.sort(key=lambda row: (-row[0], row[1]))
    return iter(rows)
