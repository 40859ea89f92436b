"""Collections and their settings, to and from the contract."""

from __future__ import annotations

from lookalike.v1 import collection_pb2 as pb
from lookalike.wire.errors import InvalidField
from search_service import limits
from search_service.domain.collection import (
    Calibration,
    CollectionSpec,
    Dtype,
    DuplicatePolicy,
    DuplicateSettings,
    IndexSettings,
    Preset,
    RecallMeasurement,
    ShardStats,
)
from search_service.presets import index_settings
from search_service.servicers.calibration import decision_message
from search_service.servicers.named import names_messages
from search_service.servicers.translate import duration_of, timestamp_of

_PRESETS = {
    pb.INDEX_PRESET_UNSPECIFIED: Preset.BALANCED,
    pb.INDEX_PRESET_FAST: Preset.FAST,
    pb.INDEX_PRESET_BALANCED: Preset.BALANCED,
    pb.INDEX_PRESET_ACCURATE: Preset.ACCURATE,
    pb.INDEX_PRESET_LEAN: Preset.LEAN,
}
_DTYPES = {
    pb.SCALAR_TYPE_F32: Dtype.F32,
    pb.SCALAR_TYPE_F16: Dtype.F16,
    pb.SCALAR_TYPE_BF16: Dtype.BF16,
    pb.SCALAR_TYPE_I8: Dtype.I8,
    pb.SCALAR_TYPE_I4: Dtype.I4,
}
_POLICIES = {
    pb.DUPLICATE_POLICY_UNSPECIFIED: DuplicatePolicy.OFF,
    pb.DUPLICATE_POLICY_OFF: DuplicatePolicy.OFF,
    pb.DUPLICATE_POLICY_ACCEPT: DuplicatePolicy.ACCEPT,
    pb.DUPLICATE_POLICY_FLAG: DuplicatePolicy.FLAG,
    pb.DUPLICATE_POLICY_REJECT: DuplicatePolicy.REJECT,
}
# The last entry of a value wins: the named one, not UNSPECIFIED.
_PRESET_MESSAGES = {preset: number for number, preset in _PRESETS.items()}
_DTYPE_MESSAGES = {dtype: number for number, dtype in _DTYPES.items()}
_POLICY_MESSAGES = {policy: number for number, policy in _POLICIES.items()}


def read_index(message: pb.IndexSettings, dimension: int, field: str) -> IndexSettings:
    """Return index settings with the preset's values where none are given.

    Raises:
        InvalidField: a value outside its range, with its path.
    """
    preset = _PRESETS.get(message.preset)
    if preset is None:
        raise InvalidField(f"{field}.preset", "is none of the presets")
    base = index_settings(preset, dimension)
    dtype = base.dtype
    if message.scalar_type != pb.SCALAR_TYPE_UNSPECIFIED:
        known = _DTYPES.get(message.scalar_type)
        if known is None:
            raise InvalidField(f"{field}.scalar_type", "is none of the scalar types")
        dtype = known

    def given(name: str, default: int, least: int, most: int) -> int:
        if not message.HasField(name):  # type: ignore[arg-type]  # one of the names below
            return default
        return limits.check_range(f"{field}.{name}", getattr(message, name), least, most)

    return IndexSettings(
        preset=preset,
        dtype=dtype,
        connectivity=given(
            "connectivity", base.connectivity, limits.MIN_CONNECTIVITY, limits.MAX_CONNECTIVITY
        ),
        expansion_add=given(
            "expansion_add", base.expansion_add, limits.MIN_EXPANSION, limits.MAX_EXPANSION_ADD
        ),
        expansion_search=given(
            "expansion_search",
            base.expansion_search,
            limits.MIN_EXPANSION,
            limits.MAX_EXPANSION_SEARCH,
        ),
        graph_dimension=given("graph_dimension", base.graph_dimension, 0, dimension),
    )


def read_duplicates(
    message: pb.DuplicateSettings, field: str, calibration: Calibration | None = None
) -> DuplicateSettings:
    """Return duplicate settings; a threshold of 0 is the calibrated one, where there is one.

    Raises:
        InvalidField: an unknown policy, or a threshold outside (0, 1].
    """
    policy = _POLICIES.get(message.policy)
    if policy is None:
        raise InvalidField(f"{field}.policy", "is none of the policies")
    if policy is DuplicatePolicy.OFF:
        return DuplicateSettings()
    if not message.threshold and calibration is not None:
        return DuplicateSettings(policy, calibration.threshold)
    if not 0.0 < message.threshold <= 1.0:
        raise InvalidField(
            f"{field}.threshold", "must be above 0 and at most 1, or be calibrated before"
        )
    return DuplicateSettings(policy, message.threshold)


def read_policy_override(
    policy: pb.DuplicatePolicy.ValueType, settings: DuplicateSettings | None, field: str
) -> DuplicatePolicy | None:
    """Return the policy for one item; None for the collection's, whose settings are given
    where they are known.

    Raises:
        InvalidField: an unknown policy, or one that needs a threshold where there is none.
    """
    if policy == pb.DUPLICATE_POLICY_UNSPECIFIED:
        return None
    chosen = _POLICIES.get(policy)
    if chosen is None:
        raise InvalidField(field, "is none of the policies")
    off = settings is not None and settings.policy is DuplicatePolicy.OFF
    if off and chosen is not DuplicatePolicy.OFF:
        raise InvalidField(
            field, "the collection has no threshold for duplicates: set its policy first"
        )
    return chosen


def read_thumbnails(message: pb.ThumbnailSettings, field: str) -> int:
    """Return the long side of thumbnails in pixels; 0: none are made.

    Raises:
        InvalidField: it is outside its range.
    """
    if not message.side_px:
        return 0
    return limits.check_range(
        f"{field}.side_px",
        message.side_px,
        limits.MIN_THUMBNAIL_SIDE_PX,
        limits.MAX_THUMBNAIL_SIDE_PX,
    )


def collection_message(
    spec: CollectionSpec, stats: ShardStats, aliases: list[str]
) -> pb.Collection:
    """Return a collection as callers see it."""
    return pb.Collection(
        name=spec.name,
        uid=spec.uid,
        dimension=spec.dimension,
        model_fingerprint=spec.model_fingerprint,
        settings=pb.CollectionSettings(
            index=_index_message(spec.index),
            duplicates=_duplicates_message(spec.duplicates),
            thumbnails=pb.ThumbnailSettings(side_px=spec.thumbnail_side_px),
            partitions=spec.partitions,
            replicas=spec.replicas,
            vectors=names_messages(spec),
        ),
        create_time=timestamp_of(spec.create_time_us),
        stats=_stats_message(stats),
        aliases=aliases,
        calibration=None if spec.calibration is None else decision_message(spec.calibration),
    )


def measurement_message(measured: RecallMeasurement) -> pb.RecallMeasurement:
    """Return a recall measurement."""
    return pb.RecallMeasurement(
        expansion_search=measured.expansion_search,
        recall=measured.recall,
        least_recall=measured.least_recall,
        self_misses=measured.self_misses,
        queries=measured.queries,
        limit=measured.limit,
        median_latency=duration_of(measured.median_s),
        median_exact_latency=duration_of(measured.median_exact_s),
    )


def _index_message(index: IndexSettings) -> pb.IndexSettings:
    return pb.IndexSettings(
        preset=_PRESET_MESSAGES[index.preset],
        scalar_type=_DTYPE_MESSAGES[index.dtype],
        connectivity=index.connectivity,
        expansion_add=index.expansion_add,
        expansion_search=index.expansion_search,
        graph_dimension=index.graph_dimension,
    )


def _duplicates_message(duplicates: DuplicateSettings) -> pb.DuplicateSettings:
    return pb.DuplicateSettings(
        policy=_POLICY_MESSAGES[duplicates.policy],
        threshold=0.0 if duplicates.policy is DuplicatePolicy.OFF else duplicates.threshold,
    )


def _stats_message(stats: ShardStats) -> pb.CollectionStats:
    return pb.CollectionStats(
        items=stats.items,
        head_vectors=stats.head_vectors,
        unindexed_vectors=stats.unindexed_vectors,
        graph_vectors=stats.graph_vectors,
        side_list_vectors=stats.side_list_vectors,
        segments=stats.segments,
        disk_bytes=stats.disk_bytes,
        builds=stats.builds,
        last_build_error=stats.last_build_error,
        building=stats.building,
        store_damage=stats.store_damage,
    )
