"""Searches by a weighted sum of cosines, over vectors that items have by several names.

The nearest of each name are candidates; of each the sum is computed exactly. No other item
can be among the hits once the sum of the last cosines found by each name is less than that
of the last hit (the threshold algorithm; Fagin, Lotem and Naor, "Optimal aggregation
algorithms for middleware", PODS 2001): until then more are looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from search_service.domain.arrays import F32
from search_service.domain.items import NO_FIELDS, Fields, StoredItem
from search_service.domain.queries import Hit, QueryOutcome, QueryRequest
from search_service.limits import MAX_CANDIDATES
from search_service.shard.api import ShardApi

_FIRST, _EACH, _MORE = 100, 4, 8
_VECTORS = Fields(vector=True)
# Of items with vectors of 4,096 dimensions by nine names: 30 MB.
_READ_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Part:
    """What is looked for by one name: float32 [B, D], unit L2; and how much it counts."""

    name: str
    space: int
    weight: float
    vectors: F32


def search_sum(shard: ShardApi, parts: Sequence[Part], request: QueryRequest) -> list[QueryOutcome]:
    """Answer queries by the mean of their cosines, weighted; blocks.

    An item without vectors of a name has the cosine 0 by it. `request` says all but what is
    looked for; it has neither groups, pages nor a ranking.

    Raises:
        LookalikeError: as `ShardApi.query` and `ShardApi.get`.
    """
    left_out = max((len(ids) for ids in request.exclude), default=0)
    depth = max(_FIRST, _EACH * request.limit) + left_out
    weights = np.array([part.weight for part in parts]) / sum(part.weight for part in parts)
    scored: dict[tuple[int, str], tuple[float, int]] = {}
    while True:
        depth = min(depth, MAX_CANDIDATES)
        found = [
            shard.query(
                replace(
                    request,
                    vectors=part.vectors,
                    space=part.space,
                    limit=depth,
                    min_score=None,
                    fields=NO_FIELDS,
                )
            ).result()
            for part in parts
        ]
        sums = [
            _Sums(number, [each[number] for each in found], parts, weights, depth)
            for number in range(len(parts[0].vectors))
        ]
        _score(shard, parts, weights, sums, scored)
        hits = [each.hits(scored, request) for each in sums]
        whole = [each.is_whole(some, request.limit) for each, some in zip(sums, hits, strict=True)]
        if all(whole) or depth == MAX_CANDIDATES:
            break
        depth *= _MORE
    carried = _carried(shard, hits, request.fields)
    return [
        replace(
            found[0][number],
            hits=[hit._replace(item=carried.get(hit.id)) for hit in hits[number]],
            page_end=None,
            plan=replace(
                found[0][number].plan,
                ranked_candidates=len(each.ids),
                ranking_complete=whole[number],
            ),
        )
        for number, each in enumerate(sums)
    ]


class _Sums:
    """The candidates of one query: `ids`, and the most that any other item can have."""

    def __init__(
        self,
        number: int,
        found: Sequence[QueryOutcome],
        parts: Sequence[Part],
        weights: np.ndarray,
        depth: int,
    ) -> None:
        self.number = number
        self.ids = sorted({hit.id for outcome in found for hit in outcome.hits})
        self._full = [len(outcome.hits) >= depth for outcome in found]
        least = [
            max(outcome.hits[-1].score, 0.0) if full else 0.0
            for outcome, full in zip(found, self._full, strict=True)
        ]
        self._unseen = float(weights @ least)

    def hits(
        self, scored: dict[tuple[int, str], tuple[float, int]], request: QueryRequest
    ) -> list[Hit]:
        """Return the best, as far as they are known."""
        floor = -2.0 if request.min_score is None else float(np.float32(request.min_score))
        mine = [(id, *scored[self.number, id]) for id in self.ids if (self.number, id) in scored]
        mine = [each for each in mine if each[1] >= floor]
        mine.sort(key=lambda each: (-each[1], each[0]))
        return [Hit(id, score, matched=place) for id, score, place in mine[: request.limit]]

    def is_whole(self, hits: Sequence[Hit], limit: int) -> bool:
        """Say whether no other item can be among the hits."""
        if not any(self._full):
            return True
        return len(hits) == limit and hits[-1].score > self._unseen


def _score(
    shard: ShardApi,
    parts: Sequence[Part],
    weights: np.ndarray,
    sums: Sequence[_Sums],
    scored: dict[tuple[int, str], tuple[float, int]],
) -> None:
    """Add the sum, and the number of the first name's nearest vector, of each candidate."""
    wanting: dict[str, list[int]] = {}
    for each in sums:
        for id in each.ids:
            if (each.number, id) not in scored:
                wanting.setdefault(id, []).append(each.number)
    ids = list(wanting)
    for start in range(0, len(ids), _READ_AT_ONCE):
        for item in shard.get(ids[start : start + _READ_AT_ONCE], _VECTORS):
            if item is None:  # deleted meanwhile
                continue
            cosines = [_cosines(item, part) for part in parts]
            for number in wanting[item.id]:
                best = [each[number].max(initial=-1.0) if each.size else 0.0 for each in cosines]
                place = int(cosines[0][number].argmax()) if cosines[0].size else 0
                scored[number, item.id] = (float(np.float32(weights @ best)), place)


def _cosines(item: StoredItem, part: Part) -> np.ndarray:
    """Return float64 [B, n]: of each query with each vector of the item by a name."""
    vectors: Iterable[F32] = item.named.get(part.name, ())
    if not part.name:
        vectors = (item.vector, *item.further) if item.vector is not None else ()
    rows = np.array(list(vectors), dtype=np.float64).reshape(-1, part.vectors.shape[1])
    return np.minimum(part.vectors.astype(np.float64) @ rows.T, 1.0)


def _carried(
    shard: ShardApi, hits: Sequence[Sequence[Hit]], fields: Fields
) -> dict[str, StoredItem]:
    if fields == NO_FIELDS:
        return {}
    ids = list({hit.id for some in hits for hit in some})
    return {item.id: item for item in shard.get(ids, fields) if item is not None}
