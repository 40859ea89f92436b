"""A collection: what it is, how it is indexed, what it holds at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


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

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> IndexSettings:
        """Return the settings from their JSON form, an object of all fields.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, unknown or of no such value.
        """
        named = {"preset": Preset(fields["preset"]), "dtype": Dtype(fields["dtype"])}
        return cls(**{**fields, **named})


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
