"""Reads items from the store, on connections of their own."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import orjson

from lookalike.wire.errors import LimitExceeded, Reason, Unavailable
from search_service.domain.arrays import F32, I64
from search_service.domain.items import Fields, StoredItem
from search_service.domain.metadata import decode_metadata, encode_metadata
from search_service.store.picking import pick
from search_service.store.schema import open_reader

# Idle connections that are kept; each has a page cache of 2 MiB.
KEPT_CONNECTIONS = 4
IDS_PER_QUERY = 2_000
# What one answer can carry: the largest message. More is never held in memory.
MAX_READ_BYTES = 64 << 20

_COLUMNS = (
    "i.id, max(i.vector_version, i.metadata_version), i.update_time_us,"
    " CASE WHEN i.near_flagged THEN i.near_id ELSE '' END, i.vector_version"
)


class ItemReader:
    """Reads items by id or ordinal; any thread may call."""

    def __init__(self, store_path: Path, vfs: str) -> None:
        self._store_path = store_path
        self._vfs = vfs
        self._idle: queue.LifoQueue[apsw.Connection] = queue.LifoQueue(KEPT_CONNECTIONS)
        self._closed = False

    def get(self, ids: Sequence[str], fields: Fields) -> dict[str, StoredItem]:
        """Read the items among `ids`, by id.

        Raises:
            LimitExceeded: they are larger together than an answer can be.
        """
        nbytes = 0
        found: dict[str, StoredItem] = {}
        query = f"{_select(fields)} WHERE i.ordinal IS NOT NULL AND i.id IN (SELECT value FROM json_each(?))"  # noqa: E501, S608 - built from constants
        with self._connection() as db:
            for start in range(0, len(ids), IDS_PER_QUERY):
                some = orjson.dumps(list(ids[start : start + IDS_PER_QUERY])).decode()
                for row in db.execute(query, (some,)):
                    nbytes += sum(len(part) for part in row[5:] if part is not None)
                    if nbytes > MAX_READ_BYTES:
                        raise LimitExceeded(
                            "fields",
                            f"the items asked for are larger than {MAX_READ_BYTES >> 20} MiB: "
                            "ask for fewer items or fields",
                        )
                    found[row[0]] = _item(row, fields)
        return found

    def page(self, after_id: str, page_size: int, fields: Fields) -> list[StoredItem]:
        """Read up to `page_size` items after `after_id`, sorted by id."""
        query = f"{_select(fields)} WHERE i.ordinal IS NOT NULL AND i.id > ? ORDER BY i.id LIMIT ?"
        with self._connection() as db:
            return [_item(row, fields) for row in db.execute(query, (after_id, page_size))]

    def ids_after(self, after_id: str, limit: int) -> list[tuple[str, int]]:
        """Read up to `limit` (id, ordinal) after `after_id`, sorted by id."""
        with self._connection() as db:
            rows: list[Any] = db.execute(
                "SELECT id, ordinal FROM items WHERE ordinal IS NOT NULL AND id > ?"
                " ORDER BY id LIMIT ?",
                (after_id, limit),
            ).fetchall()
            return rows

    def vectors(self, ordinals: I64) -> tuple[I64, F32]:
        """Read the vectors that are live among `ordinals`: int64 [n], float32 [n, D]."""
        parts: list[Any] = []
        with self._connection() as db:
            for start in range(0, len(ordinals), IDS_PER_QUERY):
                some = orjson.dumps(ordinals[start : start + IDS_PER_QUERY].tolist()).decode()
                parts += db.execute(
                    "SELECT ordinal, vector FROM vectors"
                    " WHERE ordinal IN (SELECT value FROM json_each(?)) ORDER BY ordinal",
                    (some,),
                ).fetchall()
        found = np.fromiter((part[0] for part in parts), dtype=np.int64, count=len(parts))
        data = np.frombuffer(b"".join(part[1] for part in parts), dtype="<f4")
        return found, data.reshape(len(parts), -1) if parts else data.reshape(0, 0)

    def close(self) -> None:
        """Close idle connections; those in use are closed when they come back."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    @contextmanager
    def _connection(self) -> Iterator[apsw.Connection]:
        if self._closed:
            raise Unavailable("the collection is closed", reason=Reason.NOT_READY)
        try:
            db = self._idle.get_nowait()
        except queue.Empty:
            db = open_reader(self._store_path, self._vfs)
        try:
            yield db
        except apsw.Error as error:
            raise Unavailable(
                "the collection's store cannot be read", reason=Reason.STORE_FAILED
            ) from error
        finally:
            self._give_back(db)

    def _give_back(self, db: apsw.Connection) -> None:
        if self._closed:
            db.close()
            return
        try:
            self._idle.put_nowait(db)
        except queue.Full:
            db.close()


def _select(fields: Fields) -> str:
    columns, joins = _COLUMNS, ""
    columns += ", d.metadata" if fields.metadata else ", NULL"
    columns += ", d.facts" if fields.facts else ", NULL"
    columns += ", t.thumbnail" if fields.thumbnail else ", NULL"
    columns += ", v.vector" if fields.vector else ", NULL"
    if fields.metadata or fields.facts:
        joins += " LEFT JOIN details d ON d.ordinal = i.ordinal"
    if fields.thumbnail:
        joins += " LEFT JOIN thumbnails t ON t.ordinal = i.ordinal"
    if fields.vector:
        joins += " LEFT JOIN vectors v ON v.ordinal = i.ordinal"
    return f"SELECT {columns} FROM items i{joins}"  # noqa: S608 - built from constants


def _read_metadata(metadata: bytes, fields: Fields) -> bytes:
    if not fields.metadata_paths:
        return metadata
    return encode_metadata(pick(decode_metadata(metadata), fields.metadata_paths))


def _item(
    row: tuple[str, int, int, str, int, bytes, bytes, bytes, bytes], fields: Fields
) -> StoredItem:
    id, version, time_us, near_id, vector_version, metadata, facts, thumbnail, vector = row
    return StoredItem(
        id=id,
        version=version,
        update_time_us=time_us,
        metadata_json=_read_metadata(metadata, fields) if fields.metadata else None,
        facts=facts or b"",
        thumbnail=thumbnail or b"",
        vector=np.frombuffer(vector, dtype="<f4") if fields.vector else None,
        near_duplicate_of=near_id or "",
        vector_version=vector_version,
    )
