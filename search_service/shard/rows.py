"""An id's rows in the store: read, judged elsewhere, written.

All functions run inside the writer's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import apsw
import orjson

from lookalike.wire.errors import InvalidField
from lookalike.wire.vectors import F32, encode
from search_service.shard.rules import Registers
from search_service.shard.types import Metadata, NearDuplicate

NO_REGISTERS = Registers()


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A row of `items`; `ordinal` is None where there is no vector."""

    id: str
    registers: Registers = NO_REGISTERS
    ordinal: int | None = None
    near: NearDuplicate | None = None
    flagged: bool = False


def read_row(db: apsw.Connection, id: str) -> ItemRow:
    """Read an id's row; an empty one where there is none."""
    found = db.execute(
        "SELECT ordinal, vector_version, metadata_version, delete_version,"
        " near_id, near_score, near_flagged FROM items WHERE id = ?",
        (id,),
    ).fetchone()
    if found is None:
        return ItemRow(id)
    ordinal, vector, metadata, delete, near_id, near_score, flagged = found
    return ItemRow(
        id=id,
        registers=Registers(vector, metadata, delete),
        ordinal=ordinal,
        near=None if near_id is None else NearDuplicate(near_id, near_score),
        flagged=bool(flagged),
    )


def write_row(db: apsw.Connection, row: ItemRow, now_us: int) -> None:
    """Write an id's row whole."""
    db.execute(
        "INSERT OR REPLACE INTO items (id, ordinal, vector_version, metadata_version,"
        " delete_version, update_time_us, near_id, near_score, near_flagged)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.id,
            row.ordinal,
            row.registers.vector,
            row.registers.metadata,
            row.registers.delete,
            now_us,
            row.near.id if row.near else None,
            row.near.score if row.near else None,
            int(row.flagged) if row.near else None,
        ),
    )


def encode_metadata(metadata: Metadata) -> bytes:
    """Return `metadata` as it is stored.

    Raises:
        InvalidField: it is no JSON object.
    """
    try:
        return orjson.dumps(metadata)
    except orjson.JSONEncodeError as error:
        raise InvalidField(
            "metadata", "the metadata is not JSON: use text, numbers up to 64 bits, and lists"
        ) from error


def read_metadata(db: apsw.Connection, row: ItemRow) -> bytes:
    """Read the metadata of an item, or what waits for its vector, as JSON."""
    if row.ordinal is not None:
        found = db.execute(
            "SELECT metadata FROM details WHERE ordinal = ?", (row.ordinal,)
        ).fetchone()
    else:
        found = db.execute(
            "SELECT metadata FROM pending_metadata WHERE id = ?", (row.id,)
        ).fetchone()
    return found[0] if found else b"{}"


def write_vector(
    db: apsw.Connection,
    ordinal: int,
    vector: F32,
    metadata: bytes,
    facts: bytes,
    thumbnail: bytes,
) -> None:
    """Write what hangs on a new ordinal."""
    db.execute("INSERT INTO vectors (ordinal, vector) VALUES (?, ?)", (ordinal, encode(vector)))
    db.execute(
        "INSERT INTO details (ordinal, metadata, facts) VALUES (?, ?, ?)",
        (ordinal, metadata, facts),
    )
    if thumbnail:
        db.execute(
            "INSERT INTO thumbnails (ordinal, thumbnail) VALUES (?, ?)", (ordinal, thumbnail)
        )


def erase_vector(db: apsw.Connection, ordinal: int) -> None:
    """Remove what hangs on an ordinal."""
    db.execute("DELETE FROM vectors WHERE ordinal = ?", (ordinal,))
    db.execute("DELETE FROM details WHERE ordinal = ?", (ordinal,))
    db.execute("DELETE FROM thumbnails WHERE ordinal = ?", (ordinal,))


def write_metadata(db: apsw.Connection, row: ItemRow, metadata: bytes) -> None:
    """Write an item's metadata, or have it wait where there is no vector."""
    if row.ordinal is not None:
        db.execute("UPDATE details SET metadata = ? WHERE ordinal = ?", (metadata, row.ordinal))
    else:
        db.execute(
            "INSERT OR REPLACE INTO pending_metadata (id, metadata) VALUES (?, ?)",
            (row.id, metadata),
        )


def erase_pending_metadata(db: apsw.Connection, id: str) -> None:
    """Forget metadata that waits."""
    db.execute("DELETE FROM pending_metadata WHERE id = ?", (id,))


def read_rejection(db: apsw.Connection, id: str, version: int) -> NearDuplicate | None:
    """Read what an upsert was once rejected for."""
    found = db.execute(
        "SELECT near_id, near_score FROM rejections WHERE id = ? AND version = ?", (id, version)
    ).fetchone()
    return None if found is None else NearDuplicate(*found)


def write_rejection(db: apsw.Connection, id: str, version: int, near: NearDuplicate) -> None:
    """Remember a rejection, so that the same upsert gets the same answer again."""
    db.execute(
        "INSERT OR REPLACE INTO rejections (id, version, near_id, near_score) VALUES (?, ?, ?, ?)",
        (id, version, near.id, near.score),
    )


def prune(db: apsw.Connection, below_version: int) -> int:
    """Forget deletions, waiting metadata and rejections older than `below_version`.

    Returns the number of deletions.
    """
    db.execute("DELETE FROM rejections WHERE version < ?", (below_version,))
    db.execute(
        "DELETE FROM pending_metadata WHERE id IN (SELECT id FROM items WHERE ordinal IS NULL"
        " AND metadata_version < ?)",
        (below_version,),
    )
    tombstones: int = db.execute(
        "SELECT count(*) FROM items WHERE ordinal IS NULL AND delete_version > 0"
        " AND delete_version < :v AND metadata_version < :v",
        {"v": below_version},
    ).get
    db.execute(
        "DELETE FROM items WHERE ordinal IS NULL"
        " AND max(vector_version, metadata_version, delete_version) < ?",
        (below_version,),
    )
    return tombstones


def with_registers(row: ItemRow, **versions: int) -> ItemRow:
    """Return `row` with registers changed."""
    return replace(row, registers=replace(row.registers, **versions))
