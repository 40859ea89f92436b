"""A collection: what it is, how it is indexed, what it holds at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Dtype(StrEnum):
    """Scalar type of the vectors in a graph."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I8 = "i8"
    I4 = "i4"


class Preset(StrEnum):
    """A point on the trade of recall against time and memory."""

    FAST = "fast"
    BALANCED = "balanced"
    ACCURATE = "accurate"
    LEAN = "lean"


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


class CalibrationMode(StrEnum):
    """What a calibrated threshold promises: beyond the sample, or on it alone."""

    BOUND = "bound"
    POINT = "point"


class ConstrainedMeasure(StrEnum):
    """What must hold at a calibrated threshold."""

    PRECISION = "precision"
    FALSE_POSITIVE_RATE = "false_positive_rate"


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold that was decided on, and on what grounds.

    Precision of at least, or a false-positive rate of at most `value`; the evidence was
    about `images`, and the collection had `gallery_items`.
    """

    threshold: float
    model_fingerprint: str
    mode: CalibrationMode
    measure: ConstrainedMeasure
    value: float
    confidence: float
    images: int
    gallery_items: int
    create_time_us: int

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Calibration:
        """Return the decision from its JSON form, an object of all fields.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, unknown or of no such value.
        """
        named = {
            "mode": CalibrationMode(fields["mode"]),
            "measure": ConstrainedMeasure(fields["measure"]),
        }
        return cls(**{**fields, **named})


@dataclass(frozen=True, slots=True)
class NamedVectors:
    """Vectors that items have by a name besides their own: of which model and dimension."""

    name: str
    dimension: int
    model_fingerprint: str


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
    calibration: Calibration | None = None
    # Long side of the thumbnails of submitted images; 0: none are made.
    thumbnail_side_px: int = 0
    # More than one on a cluster alone, which divides the items by their ids.
    partitions: int = 1
    replicas: int = 1
    vectors: tuple[NamedVectors, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of vectors that items have besides their own."""
        return [each.name for each in self.vectors]

    def number_of(self, name: str) -> int | None:
        """Return the number of a name of vectors: 0 for "", the items' own, then from 1."""
        names = ["", *self.names]
        return names.index(name) if name in names else None

    def of(self, number: int) -> CollectionSpec:
        """Return what the collection is by its n-th name alone; itself for 0."""
        if not number:
            return self
        named = self.vectors[number - 1]
        index = replace(
            self.index, graph_dimension=min(self.index.graph_dimension, named.dimension)
        )
        return replace(
            self, dimension=named.dimension, model_fingerprint=named.model_fingerprint, index=index
        )


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What is to be set about a collection; what is None stays as it is."""

    duplicates: DuplicateSettings | None = None
    expansion_search: int | None = None
    calibration: Calibration | None = None
    thumbnail_side_px: int | None = None
    name: str | None = None

    def applied_to(self, spec: CollectionSpec) -> CollectionSpec:
        """Return `spec` with the change."""
        index = spec.index
        if self.expansion_search is not None:
            index = replace(index, expansion_search=self.expansion_search)
        side_px = self.thumbnail_side_px
        return replace(
            spec,
            name=spec.name if self.name is None else self.name,
            index=index,
            duplicates=self.duplicates or spec.duplicates,
            calibration=self.calibration or spec.calibration,
            thumbnail_side_px=spec.thumbnail_side_px if side_px is None else side_px,
        )


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
    # What is damaged in the store, in a sentence; empty: nothing is known to be.
    store_damage: str = ""
    # Groups of mutations that were committed, and how long their fsyncs took in all; builds
    # that failed, and how long all took.
    commits: int = 0
    fsync_s: float = 0.0
    build_failures: int = 0
    build_s: float = 0.0


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
