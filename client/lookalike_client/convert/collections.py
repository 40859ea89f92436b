"""Collections and what is measured of them."""

from __future__ import annotations

from lookalike.v1 import cluster_pb2, collection_pb2
from lookalike_client import types
from lookalike_client.convert.calibration import calibration
from lookalike_client.convert.values import moment, seconds

_REPLICA_STATES = {
    cluster_pb2.REPLICA_STATE_RECOVERING: "recovering",
    cluster_pb2.REPLICA_STATE_SERVING: "serving",
    cluster_pb2.REPLICA_STATE_FAILED: "failed",
}


def collection(message: collection_pb2.Collection) -> types.Collection:
    """Return a collection."""
    duplicates = message.settings.duplicates
    return types.Collection(
        name=message.name,
        uid=message.uid,
        dimension=message.dimension,
        model_fingerprint=message.model_fingerprint,
        index=_index_settings(message.settings.index),
        duplicates=types.DuplicateSettings(
            _POLICY.get(duplicates.policy, "off"),
            duplicates.threshold,
        ),
        create_time=moment(message.create_time) if message.HasField("create_time") else None,
        stats=_stats(message.stats),
        aliases=list(message.aliases),
        calibration=calibration(message.calibration) if message.HasField("calibration") else None,
        thumbnail_side_px=message.settings.thumbnails.side_px,
        partitions=message.settings.partitions or 1,
        replicas=message.settings.replicas or 1,
        vectors=[
            types.VectorName(each.name, each.dimension, each.model_fingerprint)
            for each in message.settings.vectors
        ],
    )


def partition(message: cluster_pb2.Partition) -> types.Partition:
    """Return a partition with its replicas."""
    return types.Partition(
        number=message.number,
        log_position=message.log_position,
        log_entries=message.log_entries,
        snapshot_position=message.snapshot_position,
        replicas=[
            types.Replica(
                number=each.number,
                state=_REPLICA_STATES.get(each.state, "away"),
                node=each.node,
                position=each.position,
                lag=each.lag_entries,
                items=each.items,
                trouble=each.trouble,
            )
            for each in message.replicas
        ],
    )


def recall(message: collection_pb2.RecallMeasurement) -> types.RecallMeasurement:
    """Return one recall measurement."""
    return types.RecallMeasurement(
        expansion_search=message.expansion_search,
        recall=message.recall,
        least_recall=message.least_recall,
        self_misses=message.self_misses,
        queries=message.queries,
        limit=message.limit,
        median_s=seconds(message.median_latency),
        median_exact_s=seconds(message.median_exact_latency),
    )


def _index_settings(message: collection_pb2.IndexSettings) -> types.IndexSettings:
    def optional(name: str) -> int | None:
        return int(getattr(message, name)) if message.HasField(name) else None  # type: ignore[arg-type]  # names of optional fields

    return types.IndexSettings(
        preset=_PRESET.get(message.preset, "balanced"),
        scalar_type=_SCALAR.get(message.scalar_type),
        connectivity=optional("connectivity"),
        expansion_add=optional("expansion_add"),
        expansion_search=optional("expansion_search"),
        graph_dimension=optional("graph_dimension"),
    )


def _stats(message: collection_pb2.CollectionStats) -> types.CollectionStats:
    return types.CollectionStats(
        items=message.items,
        head_vectors=message.head_vectors,
        unindexed_vectors=message.unindexed_vectors,
        graph_vectors=message.graph_vectors,
        side_list_vectors=message.side_list_vectors,
        segments=message.segments,
        disk_bytes=message.disk_bytes,
        builds=message.builds,
        last_build_error=message.last_build_error,
        building=message.building,
        store_damage=message.store_damage,
    )


_PRESET: dict[int, str] = {
    collection_pb2.INDEX_PRESET_FAST: "fast",
    collection_pb2.INDEX_PRESET_BALANCED: "balanced",
    collection_pb2.INDEX_PRESET_ACCURATE: "accurate",
    collection_pb2.INDEX_PRESET_LEAN: "lean",
}

_SCALAR: dict[int, str] = {
    collection_pb2.SCALAR_TYPE_F32: "f32",
    collection_pb2.SCALAR_TYPE_F16: "f16",
    collection_pb2.SCALAR_TYPE_BF16: "bf16",
    collection_pb2.SCALAR_TYPE_I8: "i8",
    collection_pb2.SCALAR_TYPE_I4: "i4",
}

_POLICY: dict[int, str] = {
    collection_pb2.DUPLICATE_POLICY_ACCEPT: "accept",
    collection_pb2.DUPLICATE_POLICY_FLAG: "flag",
    collection_pb2.DUPLICATE_POLICY_REJECT: "reject",
}
