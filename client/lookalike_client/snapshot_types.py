"""What the SDK returns about snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lookalike.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a collection at a moment; `size_bytes` is that of its archive."""

    snapshot_id: str
    collection: str
    collection_uid: str
    dimension: int
    model_fingerprint: str
    items: int
    size_bytes: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class RestoredCollection:
    """A collection that was made from a snapshot."""

    collection_uid: str
    items: int


def from_message(message: snapshot_pb2.Snapshot) -> Snapshot:
    """Return a snapshot."""
    return Snapshot(
        snapshot_id=message.snapshot_id,
        collection=message.collection,
        collection_uid=message.collection_uid,
        dimension=message.dimension,
        model_fingerprint=message.model_fingerprint,
        items=message.items,
        size_bytes=message.size_bytes,
        create_time=message.create_time.ToDatetime(tzinfo=UTC),
    )
