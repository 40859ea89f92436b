"""What the SDK returns: plain, frozen results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from lookalike.wire.errors import LookalikeError
from lookalike.wire.vectors import F32

JsonValue: TypeAlias = (
    bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)
Metadata: TypeAlias = Mapping[str, JsonValue]
FieldValue: TypeAlias = str | float | bool


class MutationStatus(StrEnum):
    """What became of a mutation."""

    FAILED = "failed"
    APPLIED = "applied"
    SUPERSEDED = "superseded"
    NOT_FOUND = "not_found"
    REJECTED_DUPLICATE = "rejected_duplicate"


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
class Fields:
    """Which parts of an item come back besides id, version and time.

    `metadata_fields` are paths such as "camera.model"; none stands for all.
    """

    metadata: bool = True
    facts: bool = False
    thumbnail: bool = False
    vector: bool = False
    metadata_fields: Sequence[str] = ()


WITH_METADATA = Fields()


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the embedder saw; `sha256` and `perceptual_hash` in hexadecimal."""

    width_px: int
    height_px: int
    size_bytes: int
    sha256: str
    perceptual_hash: str
    sharpness: float
    format: str
    thumbnail_webp: bytes = b""


@dataclass(frozen=True, slots=True)
class Item:
    """A stored item; parts that were not asked for are None or empty."""

    id: str
    version: int
    update_time: datetime | None
    metadata: Metadata = field(default_factory=dict)
    facts: ImageFacts | None = None
    vector: F32 | None = None
    near_duplicate_of: str = ""


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items by id, in the order asked for, and the ids that have none."""

    items: Sequence[Item]
    missing_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """What was done for a query; times in seconds."""

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


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A stored item that an arriving one looks like; `score` is the cosine."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class MutationResult:
    """What became of one mutation; `error` is set when it failed."""

    id: str
    status: MutationStatus
    version: int
    error: LookalikeError | None = None
    near_duplicate: NearDuplicate | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether a mutation was durably queued: under `version`, or refused."""

    id: str
    version: int
    error: LookalikeError | None = None

    @property
    def accepted(self) -> bool:
        """Whether the mutation is in the queue."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class IngestEvent:
    """The outcome of one mutation of a job."""

    cursor: str
    result: MutationResult
    collection_uid: str
    remaining: int


@dataclass(frozen=True, slots=True)
class IngestFailure:
    """A mutation that was given up."""

    failure_id: str
    collection_uid: str
    id: str
    version: int
    error: LookalikeError
    attempts: int
    fail_time: datetime | None
    job_id: str


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What was queued again."""

    retried: int
    missing_failure_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How the graph is built and searched; None takes the preset's value."""

    preset: str = "balanced"
    scalar_type: str | None = None
    connectivity: int | None = None
    expansion_add: int | None = None
    expansion_search: int | None = None
    graph_dimension: int | None = None


@dataclass(frozen=True, slots=True)
class DuplicateSettings:
    """The verdict at ingestion: "off", "accept", "flag" or "reject"."""

    policy: str = "off"
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class CollectionStats:
    """What a collection holds at a moment."""

    items: int
    head_vectors: int
    unindexed_vectors: int
    graph_vectors: int
    side_list_vectors: int
    segments: int
    disk_bytes: int
    builds: int
    last_build_error: str
    building: bool


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of items that are searched together."""

    name: str
    uid: str
    dimension: int
    model_fingerprint: str
    index: IndexSettings
    duplicates: DuplicateSettings
    create_time: datetime | None
    stats: CollectionStats
    aliases: Sequence[str]


@dataclass(frozen=True, slots=True)
class Alias:
    """A second name of a collection."""

    alias: str
    collection: str


@dataclass(frozen=True, slots=True)
class RecallMeasurement:
    """Graph against exact scan for one search expansion; times in seconds."""

    expansion_search: int
    recall: float
    least_recall: float
    self_misses: int
    queries: int
    limit: int
    median_s: float
    median_exact_s: float
