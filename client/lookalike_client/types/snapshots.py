"""Snapshots of collections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a collection at a moment; `size_bytes` is that of its archive.

    `already_there` is set by `upload` where the service had it.
    """

    snapshot_id: str
    collection: str
    collection_uid: str
    dimension: int
    model_fingerprint: str
    items: int
    size_bytes: int
    create_time: datetime
    already_there: bool = False


@dataclass(frozen=True, slots=True)
class RestoredCollection:
    """A collection that was made from a snapshot."""

    collection_uid: str
    items: int
