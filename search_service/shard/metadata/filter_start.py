"""How the metadata index comes from its file, and from the store."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import orjson
from pyroaring import BitMap

from search_service.filters.bitmaps import ordinals_of
from search_service.filters.index import MetadataIndex
from search_service.filters.index_file import IndexFileUnusable, load_index
from search_service.shard.metadata.filter_log import Save, read_saves, retold_since

_log = logging.getLogger(__name__)

# About 20 ms, for which the writer may have to wait.
ROWS_PER_READ = 1_000


@dataclass(frozen=True, slots=True)
class Saved:
    """An index as of `save`, which covers the ordinals `covered`; `stale` are to be
    read again, and those past `covered` for the first time."""

    index: MetadataIndex
    save: Save
    covered: BitMap
    stale: BitMap


def read_saved(path: Path, db: apsw.Connection, uid: str, live: BitMap) -> Saved | None:
    """Read the file at `path`, if it is of this store; `live` as of the start."""
    if not path.exists():
        return None
    try:
        loaded = load_index(path, collection_uid=uid)
        with db:  # one moment of the store
            known = [save for save in read_saves(db) if save.token == loaded.token]
            if not known:
                raise IndexFileUnusable("the store knows nothing of it")
            retold = retold_since(db, known[0])
    except IndexFileUnusable as error:
        _log.warning("the saved metadata index is left out, all metadata is read: %s", error)
        return None
    covered = BitMap(range(known[0].next_ordinal))
    stale = (retold & covered) | (loaded.index.all ^ (live & covered))
    _log.info(
        "metadata index read from its file",
        extra={"items": len(loaded.index), "stale": len(stale)},
    )
    return Saved(loaded.index, known[0], covered, stale)


def refresh(
    db: apsw.Connection,
    index: MetadataIndex,
    ordinals: BitMap,
    stop: threading.Event | None = None,
) -> None:
    """Bring `ordinals` to what the store says, block by block, until `stop`."""
    if not ordinals:
        return
    index.remove_all(ordinals)
    every = ordinals_of(ordinals)
    for start in range(0, len(every), ROWS_PER_READ):
        if stop is not None and stop.is_set():
            return
        some = orjson.dumps(every[start : start + ROWS_PER_READ].tolist()).decode()
        rows: list[Any] = db.execute(
            "SELECT ordinal, metadata FROM details"
            " WHERE ordinal IN (SELECT value FROM json_each(?))",
            (some,),
        ).fetchall()
        for ordinal, metadata in rows:
            index.add(ordinal, orjson.loads(metadata))


def read_some(db: apsw.Connection, index: MetadataIndex, *, after: int) -> tuple[int, int]:
    """Index the next items of the store; return the last ordinal and how many."""
    rows: list[Any] = db.execute(
        "SELECT ordinal, metadata FROM details WHERE ordinal > ? ORDER BY ordinal LIMIT ?",
        (after, ROWS_PER_READ),
    ).fetchall()
    for ordinal, metadata in rows:
        index.add(ordinal, orjson.loads(metadata))
    return (rows[-1][0] if rows else after), len(rows)
