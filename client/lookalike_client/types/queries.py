"""Answers to queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lookalike_client.types.items import Item
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
class TimeField:
    """Of `items` that have `field`, `times` hold a point in time there."""

    field: str
    items: int
    times: int


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What was done for a query; times in seconds.

    `time_fields`: of the fields that the filter compares with a point in time.
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
    time_fields: Sequence[TimeField] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """An item near the query; `score` is the cosine, -1 to 1."""

    id: str
    score: float
    metadata: Metadata = field(default_factory=dict)
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class HitGroup:
    """Hits that share a value of the field they are grouped by, best first."""

    value: FieldValue
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Neighbours of one query, best first: `hits`, or `groups` where asked for."""

    hits: Sequence[Hit]
    plan_kind: PlanKind
    plan: QueryPlan | None = None
    groups: Sequence[HitGroup] = ()


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
