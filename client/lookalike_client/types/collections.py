"""Collections, their settings and what is measured of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lookalike_client.types.calibration import Calibration

# What a thumbnail has room for where nobody names a size: the most that there may be.
THUMBNAIL_SIDE_PX = 256


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
    """The verdict at ingestion: "off", "accept", "flag" or "reject".

    A threshold of 0 takes the collection's calibrated one.
    """

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
    # What is damaged in the store on the disk, in a sentence; empty: nothing is known to be.
    store_damage: str = ""


@dataclass(frozen=True, slots=True)
class VectorName:
    """A name by which items have vectors besides their own: of which length and model."""

    name: str
    dimension: int
    model_fingerprint: str = ""


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
    calibration: Calibration | None = None
    # Long side of the thumbnails that are made of submitted images; 0: none are.
    thumbnail_side_px: int = 0
    partitions: int = 1
    replicas: int = 1
    vectors: Sequence[VectorName] = ()


@dataclass(frozen=True, slots=True)
class Replica:
    """A copy of a partition; `state` is "away", "recovering", "serving" or "failed".

    `position` is the last entry of the log that it has applied, `lag` how many it has still
    to apply.
    """

    number: int
    state: str
    node: str
    position: int
    lag: int
    items: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a collection on a cluster, with the positions of its log and snapshot."""

    number: int
    log_position: int
    log_entries: int
    snapshot_position: int
    replicas: Sequence[Replica]


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
