"""What goes into a shard and what comes out.

A shard is one collection's store, head, segments and builder. These types know
no gRPC, Redis or torch: servicers translate to and from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from lookalike.wire.errors import LookalikeError
from lookalike.wire.vectors import F32
from search_service.shard.field_types import GroupBy

if TYPE_CHECKING:
    from search_service.filters.ast import Filter, Path, Scalar

JsonValue: TypeAlias = (
    bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)
Metadata: TypeAlias = Mapping[str, JsonValue]


class Dtype(StrEnum):
    """Scalar type of the vectors in a graph."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I8 = "i8"


class Preset(StrEnum):
    """A point on the trade of recall against time and memory."""

    FAST = "fast"
    BALANCED = "balanced"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How the graph is built and searched, with all values filled in.

    `graph_dimension` 0 builds on the full vectors; otherwise on that many
    principal components.
    """

    preset: Preset
    dtype: Dtype
    connectivity: int
    expansion_add: int
    expansion_search: int
    graph_dimension: int


class DuplicatePolicy(StrEnum):
    """What happens to an arriving vector that is near a stored one."""

    OFF = "off"
    ACCEPT = "accept"
    FLAG = "flag"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DuplicateSettings:
    """The near-duplicate verdict: `threshold` is the least cosine that counts."""

    policy: DuplicatePolicy = DuplicatePolicy.OFF
    threshold: float = 1.0


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """What a collection is, kept in its store."""

    uid: str
    name: str
    dimension: int
    model_fingerprint: str
    index: IndexSettings
    duplicates: DuplicateSettings
    create_time_us: int


@dataclass(frozen=True, slots=True)
class Upsert:
    """Store a vector with all that belongs to it, replacing what the id held.

    `vector` is float32 [D], unit L2 (see `lookalike.wire.vectors.normalise`).
    `facts` is opaque to the shard. `version` 0 takes the next one.
    """

    id: str
    vector: F32
    metadata: Metadata = field(default_factory=dict)
    facts: bytes = b""
    thumbnail: bytes = b""
    version: int = 0


@dataclass(frozen=True, slots=True)
class UpdateMetadata:
    """Replace the metadata of an item and leave its vector alone."""

    id: str
    metadata: Metadata
    version: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an item."""

    id: str
    version: int = 0


Mutation: TypeAlias = Upsert | UpdateMetadata | Delete


class MutationStatus(IntEnum):
    """What became of a mutation; numbers as in `lookalike.v1.MutationStatus`."""

    APPLIED = 1
    SUPERSEDED = 2
    NOT_FOUND = 3
    REJECTED_DUPLICATE = 4


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A stored item that an arriving vector is near to; `score` is the cosine."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class MutationOutcome:
    """What became of one mutation; `error` is set when it was refused."""

    id: str
    status: MutationStatus | None
    version: int
    error: LookalikeError | None = None
    near_duplicate: NearDuplicate | None = None


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
class Fields:
    """Which parts of an item are read besides id, version and time."""

    metadata: bool = False
    facts: bool = False
    thumbnail: bool = False
    vector: bool = False
    # Of the metadata only what stands under these; all where there are none.
    metadata_paths: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as it is stored; parts that were not asked for are empty."""

    id: str
    version: int
    update_time_us: int
    metadata: Metadata | None = None
    facts: bytes = b""
    thumbnail: bytes = b""
    vector: F32 | None = None
    near_duplicate_of: str = ""


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """Queries that share their options.

    `vectors` is float32 [B, D], unit L2. `exclude` holds, for each query, ids to
    leave out of its hits (empty: none). `deadline_s` is on `time.monotonic()`.
    With `group_by`, `limit` counts groups.
    """

    vectors: F32
    limit: int = 10
    filter: Filter | None = None
    min_score: float | None = None
    exact: bool = False
    expansion_search: int = 0
    exclude: Sequence[frozenset[str]] = ()
    fields: Fields = Fields()
    deadline_s: float | None = None
    group_by: GroupBy | None = None


class Hit(NamedTuple):
    """An item near a query; `score` is the exact cosine of the float32 vectors.

    A tuple, since an answer has thousands: it is made in a third of the time.
    """

    id: str
    score: float
    item: StoredItem | None = None


@dataclass(frozen=True, slots=True)
class HitGroup:
    """Hits that share a value, best first."""

    value: Scalar
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class Plan:
    """What was done for a query; times in seconds."""

    kind: PlanKind
    items: int
    filter_matches: int
    candidates: int
    expansion_search: int
    gathered_queries: int
    filter_s: float
    wait_s: float
    search_s: float


@dataclass(frozen=True, slots=True)
class QueryOutcome:
    """Hits of one query, best first, equal scores by id; or groups, by their best."""

    hits: Sequence[Hit]
    plan: Plan
    groups: Sequence[HitGroup] = ()


@dataclass(frozen=True, slots=True)
class ShardStats:
    """What a shard holds at a moment."""

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
