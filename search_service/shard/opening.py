"""How a shard comes up: its store is opened, its memory filled."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import numpy as np

from lookalike.wire.errors import Unavailable
from search_service.domain.arrays import I64
from search_service.domain.collection import CollectionSpec
from search_service.segments.source import DiskSegments
from search_service.shard.live.memory import Memory
from search_service.shard.live.sealed import Sealed
from search_service.shard.upkeep import SegmentUpkeep
from search_service.store import schema
from search_service.store.damage import RowDamaged, StoreHealth, damaged
from search_service.store.further import further_ordinals
from search_service.store.log_check import log_is_damaged
from search_service.store.named import members
from search_service.store.salvage import OnDamage
from search_service.store.vectors import iter_live_vectors, live_ids

SEGMENTS = "segments"
ROWS_PER_LOAD = 8_192


def open_store(path: Path, vfs: str) -> tuple[apsw.Connection, CollectionSpec, StoreHealth]:
    """Open a store for writing; return its connection, its collection, and its health.

    Raises:
        StoreDamaged: what every use of the store needs is damaged.
        Unavailable: STORE_FAILED, the store is missing or foreign.
    """
    health = StoreHealth(path.parent.name)
    if log_is_damaged(path, schema.PAGE_BYTES):
        health.note(RowDamaged("commits follow a damaged part of its log"), "its log")
    try:
        db = schema.open_writer(path, vfs)
    except Unavailable as error:
        raise (damaged("the collection's store") if health.damage else error) from error
    try:
        return db, schema.spec_from_json(bytes(schema.read_meta(db, "spec"))), health
    except (apsw.Error, ValueError, TypeError) as error:
        db.close()
        raise damaged("the collection's store") from error


def load(
    db: apsw.Connection, path: Path, memory: Memory, upkeep: SegmentUpkeep, health: StoreHealth
) -> tuple[I64, list[str]]:
    """Bring the memory up; return the ordinals of items, int64 [n], ascending, and their ids."""
    with ThreadPoolExecutor(1, thread_name_prefix="open-segments") as pool:
        opened = pool.submit(upkeep.open_segments)
        next_ordinal = int(schema.read_meta(db, "next_ordinal"))
        ordinals, ids = live_ids(db, next_ordinal, health.reader_of("ids"))
        further = further_ordinals(db, ordinals, health.reader_of("further vectors"))
        memory.load(ordinals, ids, next_ordinal, further)
        opened.result()
    every = np.sort(np.concatenate([ordinals, further[0]]))
    fill_head(memory, path, every, next_ordinal, health.reader_of("vectors"))
    _give_back(db)
    return ordinals, ids


def load_named(
    db: apsw.Connection,
    path: Path,
    parts: Sequence[tuple[Memory, SegmentUpkeep]],
    items: tuple[I64, Sequence[str]],
    health: StoreHealth,
) -> None:
    """Bring the memories of vectors by name up; `items` are ordinals, int64 [n] ascending,
    and ids."""
    next_ordinal = int(schema.read_meta(db, "next_ordinal"))
    ids = dict(zip(items[0].tolist(), items[1], strict=True)) if parts else {}
    for number, (memory, upkeep) in enumerate(parts, 1):
        note = health.reader_of("named vectors")
        found, of = members(db, number, items[0], next_ordinal, note)
        first = found == of
        memory.load(
            found[first],
            [ids[ordinal] for ordinal in found[first].tolist()],
            next_ordinal,
            (found[~first], of[~first]),
        )
        upkeep.open_segments()
        fill_head(memory, path, found, next_ordinal, note, number)


def fill_head(
    memory: Memory,
    path: Path,
    live: I64,
    next_ordinal: int,
    on_damage: OnDamage,
    space: int = 0,
) -> None:
    """Put those of `live`, int64 [n] ascending, into the head that no segment holds."""
    missing = unindexed_ordinals(live, memory.sealed)
    if len(missing):
        for some, vectors in iter_live_vectors(
            path,
            int(missing[0]) - 1,
            next_ordinal,
            ROWS_PER_LOAD,
            on_damage,
            space,
        ):
            places = np.minimum(np.searchsorted(missing, some), len(missing) - 1)
            kept = missing[places] == some  # both ascend
            head = memory.head
            head.extend(some[kept], vectors[kept], head.encode(vectors[kept]))


def unindexed_ordinals(live: I64, sealed: tuple[Sealed, ...]) -> I64:
    """Return which of `live`, int64 [n] ascending, no segment holds."""
    covered = np.zeros(len(live), dtype=np.bool_)
    for one in sealed:
        here, _ = one.locate(live)
        covered[np.searchsorted(live, here)] = True
    return live[~covered]


def _give_back(db: apsw.Connection) -> None:
    """Let the system have what was needed for the start alone.

    SQLite keeps the pages that were read, up to 64 MiB, and the allocator what became free:
    of 200,000 items, a third of what a shard in four bits had taken by then.
    """
    db.release_memory()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)


def disk_segments(directory: Path, spec: CollectionSpec, folder: str = SEGMENTS) -> DiskSegments:
    """Return the segments of the shard in `directory`."""
    return DiskSegments(
        directory / folder,
        uid=spec.uid,
        dimension=spec.dimension,
        fingerprint=spec.model_fingerprint,
    )
