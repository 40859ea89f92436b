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
from search_service.store.damage import RowDamaged, is_damage
from search_service.store.salvage import OnDamage, rows_between
from search_service.store.schema import one_moment

_log = logging.getLogger(__name__)

# About 20 ms, for which the writer may have to wait.
ROWS_PER_READ = 1_000
_BETWEEN = (
    "SELECT ordinal, metadata FROM details WHERE ordinal > ? AND ordinal <= ? ORDER BY ordinal"
)


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
        with one_moment(db):
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
    on_damage: OnDamage,
    stop: threading.Event | None = None,
) -> None:
    """Bring `ordinals` to what the store says, block by block, until `stop`.

    Items whose metadata is damaged are left out.
    """
    if not ordinals:
        return
    index.remove_all(ordinals)
    every = ordinals_of(ordinals)
    for start in range(0, len(every), ROWS_PER_READ):
        if stop is not None and stop.is_set():
            return
        chosen = every[start : start + ROWS_PER_READ].tolist()
        some = orjson.dumps(chosen).decode()
        try:
            rows: list[Any] = db.execute(
                "SELECT ordinal, metadata FROM details"
                " WHERE ordinal IN (SELECT value FROM json_each(?))",
                (some,),
            ).fetchall()
        except apsw.Error as error:
            if not is_damage(error):
                raise
            rows = []
            for ordinal in chosen:
                rows += rows_between(db, _BETWEEN, ordinal - 1, ordinal, on_damage)
        _add(index, rows, on_damage)


def read_some(
    db: apsw.Connection, index: MetadataIndex, on_damage: OnDamage, *, after: int, upto: int
) -> int:
    """Index the next items of the store up to ordinal `upto`; return the last one read.

    Items whose metadata is damaged are left out.
    """
    try:
        rows: list[Any] = db.execute(f"{_BETWEEN} LIMIT ?", (after, upto, ROWS_PER_READ)).fetchall()
        last = rows[-1][0] if len(rows) == ROWS_PER_READ else upto
    except apsw.Error as error:
        if not is_damage(error):
            raise
        last = min(after + ROWS_PER_READ, upto)
        rows = rows_between(db, _BETWEEN, after, last, on_damage)
    _add(index, rows, on_damage)
    return int(last)


def _add(index: MetadataIndex, rows: list[Any], on_damage: OnDamage) -> None:
    for ordinal, metadata in rows:
        try:
            read = orjson.loads(metadata)
        except orjson.JSONDecodeError:
            on_damage(RowDamaged("an item's metadata is not what was written"))
        else:
            index.add(ordinal, read)
