"""Snapshots of collections."""

from __future__ import annotations

from lookalike.v1 import snapshot_pb2
from lookalike_client import types
from lookalike_client.convert.values import moment


def snapshot(message: snapshot_pb2.Snapshot) -> types.Snapshot:
    """Return a snapshot."""
    return types.Snapshot(
        snapshot_id=message.snapshot_id,
        collection=message.collection,
        collection_uid=message.collection_uid,
        dimension=message.dimension,
        model_fingerprint=message.model_fingerprint,
        items=message.items,
        size_bytes=message.size_bytes,
        create_time=moment(message.create_time),
    )
