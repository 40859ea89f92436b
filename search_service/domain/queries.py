"""What is searched for, what is found, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from search_service.domain.arrays import F32
from search_service.domain.conditions import FieldPath, Filter, Scalar
from search_service.domain.items import NO_FIELDS, Fields, StoredItem
from search_service.domain.ranking import BestScore, HitRanking, Ranking

# Candidates for each hit that is wanted, and at least (search.proto, Ranking).
_CANDIDATES_EACH, _LEAST_CANDIDATES = 4, 100


@dataclass(frozen=True, slots=True)
class GroupBy:
    """Gather hits by a metadata field, at most `hits_per_group` of each value."""

    field: FieldPath
    hits_per_group: int = 1


@dataclass(frozen=True, slots=True)
class HitPlace:
    """Where a page of hits ended: after the hit `id` with `score`, a float32.

    `rank` hits were on the pages so far.
    """

    score: float
    id: str
    rank: int

    @property
    def order(self) -> tuple[float, str]:
        """What hits are sorted by."""
        return (-self.score, self.id)


# Before the first page; "" sorts before any id.
BEFORE_ALL = HitPlace(2.0, "", 0)


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """Queries that share their options.

    `vectors` is float32 [B, D], unit L2. `exclude` holds, for each query, ids to
    leave out of its hits (empty: none). `deadline_s` is on `time.monotonic()`.
    With `group_by`, `limit` counts groups. `ranking` orders by more than likeness;
    `best_scores`, where there are any, holds for each query the examples that take
    the place of its vector, or None. With `after`, hits are those that stand after it, and
    the outcome says where the page ended. On a cluster, changes up to `read_position` of
    the log are seen, and with `allow_partial` partitions that do not answer are left out.
    `space` is the number of the name whose vectors are searched, 0 for the items' own.
    """

    vectors: F32
    limit: int = 10
    filter: Filter | None = None
    min_score: float | None = None
    exact: bool = False
    expansion_search: int = 0
    exclude: Sequence[frozenset[str]] = ()
    fields: Fields = NO_FIELDS
    deadline_s: float | None = None
    group_by: GroupBy | None = None
    after: HitPlace | None = None
    ranking: Ranking | None = None
    best_scores: tuple[BestScore | None, ...] = ()
    read_position: int = 0
    allow_partial: bool = False
    space: int = 0

    @property
    def reranked(self) -> bool:
        """Whether something else than cosines orders the hits."""
        return self.ranking is not None or bool(self.best_scores)

    @property
    def candidates(self) -> int:
        """How many of the nearest items of each vector hits are chosen from, if reranked.

        What a boost or a wish for variety brings forward lies among the next few times
        as many.
        """
        asked = self.ranking.candidates if self.ranking is not None else 0
        return max(self.limit, asked or max(_CANDIDATES_EACH * self.limit, _LEAST_CANDIDATES))

    @property
    def asks_metadata(self) -> bool:
        """Whether it can be answered only once the metadata index is there."""
        boosts = self.ranking is not None and bool(self.ranking.boosts)
        return self.filter is not None or self.group_by is not None or boosts


class PlanKind(Enum):
    """How a query was answered; numbers as in `lookalike.v1.PlanKind`."""

    EXACT = 1
    EXACT_FILTERED = 2
    GRAPH = 3
    GRAPH_FILTERED = 4
    EXACT_FALLBACK = 5
    COMPACT_FILTERED = 6
    COMPACT_FALLBACK = 7
    COMPACT = 8


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What was done for a query; times in seconds.

    `rerank_s` is the part of `search_s` in which candidates were compared exactly and ranked.
    Where something else than cosines ordered the hits, they were chosen from
    `ranked_candidates`, and `ranking_complete` says that no other item could have
    been among them, as far as the nearest were found.

    `confined` is the plan of a caller who sees a part of the items, and so is not told all.
    """

    kind: PlanKind
    items: int
    filter_matches: int
    candidates: int
    expansion_search: int
    gathered_queries: int
    filter_s: float
    wait_s: float
    search_s: float
    ranked_candidates: int = 0
    ranking_complete: bool = False
    rerank_s: float = 0.0
    confined: bool = False

    @property
    def told(self) -> QueryPlan:
        """What the caller is told: as if there were no items but those that it sees.

        Whether there is a graph, how many candidates it gave and whether they were enough
        depend on how many items others have.
        """
        if not self.confined:
            return self
        return replace(
            self,
            kind=PlanKind.EXACT_FILTERED,
            candidates=self.filter_matches,
            expansion_search=0,
        )


class Hit(NamedTuple):
    """An item near a query; `score` is the exact cosine of the float32 vectors.

    Of an item with several vectors that of number `matched` is the nearest, 0 the first.
    A tuple, since an answer has thousands: it is made in a third of the time.
    """

    id: str
    score: float
    item: StoredItem | None = None
    ranking: HitRanking | None = None
    matched: int = 0


@dataclass(frozen=True, slots=True)
class HitGroup:
    """Hits that share a value, best first."""

    value: Scalar
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class QueryOutcome:
    """Hits of one query, best first, equal scores by id; or groups, by their best.

    `page_end` is where a page ended, if others may follow. `missing_partitions` are
    those whose items are left out.
    """

    hits: Sequence[Hit]
    plan: QueryPlan
    groups: Sequence[HitGroup] = ()
    page_end: HitPlace | None = None
    missing_partitions: tuple[int, ...] = ()
