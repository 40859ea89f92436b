"""Answers to queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lookalike_client.types.items import Item
from lookalike_client.types.lazy import LazyParts
from lookalike_client.types.metadata import FieldValue, Metadata


class PlanKind(StrEnum):
    """How a query was answered."""

    UNSPECIFIED = "unspecified"
    EXACT = "exact"
    EXACT_FILTERED = "exact_filtered"
    GRAPH = "graph"
    GRAPH_FILTERED = "graph_filtered"
    EXACT_FALLBACK = "exact_fallback"
    COMPACT_FILTERED = "compact_filtered"
    COMPACT_FALLBACK = "compact_fallback"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What was done for a query; times in seconds.

    `rerank_s` is the part of `search_s` in which candidates were compared exactly and ranked.
    `filter_remarks` say, for people, why a filter may meet less than was meant.
    Where more than likeness ordered the hits, they were chosen from
    `ranked_candidates`; unless `ranking_complete`, more candidates may change them.
    """

    kind: PlanKind
    items: int
    filter_matches: int
    candidates: int
    expansion_search: int
    gathered_queries: int
    embed_s: float
    filter_s: float
    wait_s: float
    search_s: float
    filter_remarks: Sequence[str] = ()
    ranked_candidates: int = 0
    ranking_complete: bool = False
    rerank_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BoostPart:
    """What a boost did for a hit: its value (None: missing), the curve's, what was added."""

    value: float | datetime | None
    curve: float
    added: float


@dataclass(frozen=True, slots=True)
class HitRanking:
    """Why a hit has its place: parts of its rank score.

    `redundancy` is its greatest cosine to a hit before it, `negative` to a negative
    example.
    """

    boosts: Sequence[BoostPart] = ()
    redundancy: float | None = None
    negative: float | None = None


@dataclass(frozen=True, slots=True)
class Hit(LazyParts):
    """An item near the query; `score` is the cosine, -1 to 1.

    `rank_score` is what ordered the hits, where that is more than likeness; `ranking`
    its parts, with `explain`. Of an item with several vectors the one of number
    `matched_vector` is the nearest: 0 is its first.
    """

    id: str
    score: float
    metadata: Metadata = field(default_factory=dict)
    item: Item | None = None
    rank_score: float | None = None
    ranking: HitRanking | None = None
    matched_vector: int = 0


@dataclass(frozen=True, slots=True)
class HitGroup:
    """Hits that share a value of the field they are grouped by, best first."""

    value: FieldValue
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class PartialAnswer:
    """What an answer lacks: what some of a collection's `partitions` hold.

    `missing_partitions` are the numbers, from 0, of those that did not answer in time.
    """

    partitions: int
    missing_partitions: Sequence[int]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Neighbours of one query, best first: `hits`, or `groups` where asked for.

    `next_page_token` goes on after the hits, where they are a page and not the last.
    `partial` is None where nothing is lacking; see `allow_partial`.
    """

    hits: Sequence[Hit]
    plan_kind: PlanKind
    plan: QueryPlan | None = None
    groups: Sequence[HitGroup] = ()
    next_page_token: str = ""
    partial: PartialAnswer | None = None


@dataclass(frozen=True, slots=True)
class Facets:
    """Values of a field with the number of items that hold each, most first.

    Of `items`, `missing` hold no value and `other` none of those in `counts`;
    there are `values` different ones in all.
    """

    counts: Sequence[tuple[FieldValue, int]]
    items: int
    missing: int
    other: int
    values: int
