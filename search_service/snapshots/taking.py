"""Takes a snapshot of a collection's directory: captured, summed, and read through."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from search_service.domain.collection import CollectionSpec
from search_service.snapshots.capture import capture, list_files
from search_service.snapshots.manifest import STORE, Manifest
from search_service.snapshots.pace import Pace
from search_service.snapshots.store_check import check_copy, count_items


def take(
    spec: CollectionSpec, source: Path, target: Path, pace: Pace, step: Callable[[str], None]
) -> Manifest:
    """Fill the empty directory `target` with the state of the collection in `source`.

    Raises:
        StoreDamaged: a part of the collection's store is damaged.
        Unavailable: the service is stopping.
        OSError, apsw.Error: a file cannot be read or written.
    """
    now_us = time.time_ns() // 1_000
    segments = capture(source, target, pace, step)
    files = list_files(target, pace)
    step("summed")
    manifest = Manifest(
        collection=spec.name,
        collection_uid=spec.uid,
        dimension=spec.dimension,
        model_fingerprint=spec.model_fingerprint,
        items=count_items(target / STORE),
        create_time_us=now_us,
        segments=tuple(segments),
        files=files,
    )
    check_copy(target / STORE, spec.dimension, pace)
    return manifest
