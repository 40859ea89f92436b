"""Whether files that came from elsewhere are the store that their manifest describes, and
what lies beside it.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from lookalike.wire.errors import SnapshotInvalid
from search_service.limits import MAX_ITEM_VECTORS
from search_service.snapshots.manifest import Manifest, side_names
from search_service.snapshots.pace import Pace
from search_service.store import schema
from search_service.store.check import read_through
from search_service.store.damage import damaged
from search_service.store.further import has_several
from search_service.store.named import count_names, tables, vectors_table
from search_service.store.side_files import SIDE_FILES

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


def check_store(path: Path, manifest: Manifest) -> None:
    """Read a store through, as one that may have been made to do harm.

    Raises:
        SnapshotInvalid: it is not what the manifest says.
    """
    try:
        with closing(schema.open_unchanging(path)) as db:
            _check_form(db)
            _check_content(db, manifest)
    except (apsw.Error, ValueError, KeyError, TypeError) as error:
        raise SnapshotInvalid("the snapshot's store cannot be read: it is damaged") from error


def check_side_files(directory: Path, manifest: Manifest) -> None:
    """Read the files beside a store through, as ones that may have been made to do harm.

    Raises:
        SnapshotInvalid: one is not what its name says.
    """
    for name in side_names(manifest):
        try:
            ours = SIDE_FILES[name].is_ours(directory / name)
        except (apsw.Error, ValueError) as error:
            raise SnapshotInvalid(f"the snapshot's {name} cannot be read: it is damaged") from error
        if not ours:
            raise SnapshotInvalid(
                f"the snapshot's {name} is damaged, or of a form that this release does not read"
            )


def check_copy(path: Path, dimension: int, pace: Pace) -> None:
    """Read a copy of a store of ours through, before it becomes a snapshot.

    Raises:
        StoreDamaged: the store that it was taken of is damaged.
        Unavailable: the service is stopping.
    """
    met: list[BaseException] = []

    def spend(nbytes: int) -> bool:
        pace.spend(nbytes)
        return True

    with closing(schema.open_unchanging(path)) as db:
        read_through(db, dimension, lambda error, _: met.append(error), spend)
    if met:
        raise damaged() from met[0]


def count_items(path: Path) -> int:
    """Return how many items a store that nobody writes holds."""
    with closing(schema.open_unchanging(path)) as db:
        return int(db.execute("SELECT count(*) FROM items WHERE ordinal IS NOT NULL").get)


def _check_form(db: apsw.Connection) -> None:
    if db.pragma("application_id") != schema.APPLICATION_ID:
        raise SnapshotInvalid("this is no snapshot: its store is not one of Lookalike")
    if db.pragma("user_version") not in schema.READABLE_FORMATS:
        raise SnapshotInvalid("the snapshot's store has a format that this release does not read")
    # Exactly our tables: a trigger or a view would run within our own statements.
    if _schema_of(db) != _own_schema(has_several(db), count_names(db)):
        raise SnapshotInvalid("this is no snapshot: its store has other tables")
    if db.execute("PRAGMA quick_check(1)").get != "ok":
        raise SnapshotInvalid("the snapshot's store is damaged")


def _check_content(db: apsw.Connection, manifest: Manifest) -> None:
    spec = schema.spec_from_json(bytes(schema.read_meta(db, "spec")))
    described = (manifest.collection_uid, manifest.dimension, manifest.model_fingerprint)
    if (spec.uid, spec.dimension, spec.model_fingerprint) != described:
        raise SnapshotInvalid("the snapshot's store is of another collection than its manifest")
    items = db.execute("SELECT count(*) FROM items WHERE ordinal IS NOT NULL").get
    last = db.execute("SELECT coalesce(max(ordinal), 0) FROM vectors").get
    if items != manifest.items or last >= int(schema.read_meta(db, "next_ordinal")):
        raise SnapshotInvalid("the snapshot's store does not hold what its manifest says")
    misfits = db.execute(
        "SELECT count(*) FROM items i LEFT JOIN vectors v ON v.ordinal = i.ordinal"
        " LEFT JOIN details d ON d.ordinal = i.ordinal WHERE i.ordinal IS NOT NULL"
        " AND (v.vector IS NULL OR length(v.vector) != ? OR d.ordinal IS NULL)",
        (4 * spec.dimension,),
    ).get
    if misfits:
        raise SnapshotInvalid("the snapshot's store holds items without a fitting vector")
    if has_several(db):
        _check_further(db, spec.dimension)
    if count_names(db) != len(spec.vectors):
        raise SnapshotInvalid("the snapshot's store does not hold the names of its collection")
    for number, named in enumerate(spec.vectors, 1):
        _check_named(db, number, named.dimension)


def _check_further(db: apsw.Connection, dimension: int) -> None:
    misfits = db.execute(
        "SELECT count(*) FROM further_vectors f LEFT JOIN vectors v ON v.ordinal = f.ordinal"
        " LEFT JOIN items i ON i.ordinal = f.item LEFT JOIN items o ON o.ordinal = f.ordinal"
        " WHERE v.vector IS NULL OR length(v.vector) != ? OR i.id IS NULL OR o.id IS NOT NULL"
        " OR f.ordinal <= f.item OR f.ordinal >= f.item + ?",
        (4 * dimension, MAX_ITEM_VECTORS),
    ).get
    if misfits:
        raise SnapshotInvalid("the snapshot's store holds further vectors that fit no item")


def _check_named(db: apsw.Connection, number: int, dimension: int) -> None:
    misfits = db.execute(
        f"SELECT count(*) FROM {vectors_table(number)} n LEFT JOIN items i ON i.ordinal = n.item"  # noqa: S608 - a number
        " WHERE i.id IS NULL OR length(n.vector) != ? OR n.ordinal < n.item"
        " OR n.ordinal >= n.item + ?",
        (4 * dimension, MAX_ITEM_VECTORS),
    ).get
    if misfits:
        raise SnapshotInvalid("the snapshot's store holds named vectors that fit no item")


def _schema_of(db: apsw.Connection) -> list[Any]:
    rows: list[Any] = db.execute(_SCHEMA).fetchall()
    return rows


def _own_schema(several: bool, names: int) -> list[Any]:
    with closing(apsw.Connection(":memory:")) as db:
        db.execute(schema.TABLES)
        if several:
            db.execute(schema.FURTHER_TABLE)
        if names:
            db.execute(tables(names))
        return _schema_of(db)
