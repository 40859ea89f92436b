"""Reads items from the store, on connections of their own."""

from __future__ import annotations

import queue
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import orjson

from lookalike.wire.errors import Reason, Unavailable
from search_service.domain.arrays import F32, I64
from search_service.domain.items import Fields, StoredItem
from search_service.store.answer_size import AnswerSize, nbytes
from search_service.store.damage import RowDamaged, StoreHealth, damaged, is_damage
from search_service.store.item_rows import items_of, select_items
from search_service.store.named import vectors_table
from search_service.store.rows_read import checked_rows, intact_rows
from search_service.store.salvage import live_items, rows_between
from search_service.store.schema import one_moment, open_reader

# Idle connections that are kept; each has a page cache of 2 MiB.
KEPT_CONNECTIONS = 4
IDS_PER_QUERY = 2_000
_MOST_ORDINAL = 2**32

_VECTORS_BETWEEN = (
    "SELECT ordinal, vector FROM {table} WHERE ordinal > ? AND ordinal <= ? ORDER BY ordinal"
)


@dataclass(frozen=True, slots=True)
class Read:
    """Items that were found, by id, and the ids of those that are damaged."""

    items: dict[str, StoredItem] = field(default_factory=dict)
    damaged_ids: list[str] = field(default_factory=list)


class ItemReader:
    """Reads items by id or ordinal; any thread may call.

    What is damaged is left out, and `health` is told.
    """

    def __init__(
        self, store_path: Path, vfs: str, health: StoreHealth, names: Sequence[str] = ()
    ) -> None:
        """`names` are those of the vectors that items have besides their own."""
        self._store_path = store_path
        self._names = tuple(names)
        self._vfs = vfs
        self._health = health
        self._salvaged: list[tuple[str, int]] | None = None
        self._idle: queue.LifoQueue[apsw.Connection] = queue.LifoQueue(KEPT_CONNECTIONS)
        self._closed = False

    def get(self, ids: Sequence[str], fields: Fields) -> dict[str, StoredItem]:
        """Read the items among `ids`, by id; damaged ones are left out.

        Raises:
            LimitExceeded: they are larger together than an answer can be.
        """
        return self.read(ids, fields).items

    def read(self, ids: Sequence[str], fields: Fields) -> Read:
        """Read the items among `ids`, and say which are damaged.

        Raises:
            LimitExceeded: they are larger together than an answer can be.
        """
        size = AnswerSize()
        found = Read()
        query = f"{select_items(fields)} WHERE i.ordinal IS NOT NULL AND i.id IN (SELECT value FROM json_each(?))"  # noqa: E501, S608 - built from constants
        with self._connection() as db, _moment(db, fields):
            for start in range(0, len(ids), IDS_PER_QUERY):
                self._read_some(db, query, ids[start : start + IDS_PER_QUERY], fields, size, found)
        return found

    def in_order(self, ids: Sequence[str], fields: Fields) -> list[StoredItem | None]:
        """Read items in the order of `ids`; None where there is none.

        Raises:
            StoreDamaged: one is damaged.
            LimitExceeded: they are larger together than an answer can be.
        """
        found = self.read(ids, fields)
        if found.damaged_ids:
            shown = ", ".join(f'"{id}"' for id in found.damaged_ids[:3])
            raise damaged(f"{len(found.damaged_ids)} of the items asked for ({shown})")
        return [found.items.get(id) for id in ids]

    def page(self, after_id: str, page_size: int, fields: Fields) -> list[StoredItem]:
        """Read up to `page_size` items after `after_id`, sorted by id."""
        query = (
            f"{select_items(fields)} WHERE i.ordinal IS NOT NULL AND i.id > ? ORDER BY i.id LIMIT ?"
        )
        with self._connection() as db, _moment(db, fields):
            try:
                rows: list[Any] = db.execute(query, (after_id, page_size)).fetchall()
                return items_of(db, rows, fields, self._names)
            except (apsw.Error, RowDamaged) as error:
                self._note(error)
        page: list[StoredItem] = []
        while wanted := page_size - len(page):
            ids = [id for id, _ in self.ids_after(after_id, wanted)]
            found = self.get(ids, fields)
            page += [found[id] for id in ids if id in found]
            if len(ids) < wanted:
                break
            after_id = ids[-1]
        return page

    def ids_after(self, after_id: str, limit: int) -> list[tuple[str, int]]:
        """Read up to `limit` (id, ordinal) after `after_id`, sorted by id."""
        with self._connection() as db:
            try:
                rows: list[Any] = db.execute(
                    "SELECT id, ordinal FROM items WHERE ordinal IS NOT NULL AND id > ?"
                    " ORDER BY id LIMIT ?",
                    (after_id, limit),
                ).fetchall()
            except apsw.Error as error:
                self._note(error)
            else:
                return rows
            salvaged = self._salvage(db)
        start = bisect_right(salvaged, after_id, key=lambda pair: pair[0])
        return salvaged[start : start + limit]

    def facts_between(self, after: int, upto: int, limit: int) -> list[tuple[int, bytes]]:
        """Read up to `limit` (ordinal, image facts) with `after` < ordinal <= `upto`, ascending."""
        with self._connection() as db:
            rows: list[Any] = db.execute(
                "SELECT ordinal, facts FROM details WHERE ordinal > ? AND ordinal <= ?"
                " ORDER BY ordinal LIMIT ?",
                (after, upto, limit),
            ).fetchall()
        return rows

    def vectors(self, ordinals: I64, space: int = 0) -> tuple[I64, F32]:
        """Read the vectors that are live among `ordinals`: int64 [n], float32 [n, D].

        Those of the name with the number `space`.
        """
        parts: list[tuple[I64, F32]] = []
        with self._connection() as db:
            parts += [
                self._some_vectors(db, ordinals[start : start + IDS_PER_QUERY], space)
                for start in range(0, len(ordinals), IDS_PER_QUERY)
            ]
        parts = [part for part in parts if len(part[0])] or [checked_rows([])]
        return np.concatenate([part[0] for part in parts]), np.concatenate(
            [part[1] for part in parts]
        )

    def _some_vectors(self, db: apsw.Connection, ordinals: I64, space: int) -> tuple[I64, F32]:
        chosen, table = ordinals.tolist(), vectors_table(space)
        try:
            rows: list[Any] = db.execute(
                f"SELECT ordinal, vector FROM {table}"  # noqa: S608 - a number
                " WHERE ordinal IN (SELECT value FROM json_each(?)) ORDER BY ordinal",
                (orjson.dumps(chosen).decode(),),
            ).fetchall()
            return checked_rows(rows)
        except (apsw.Error, RowDamaged) as error:
            self._note(error)
        rows = []
        between = _VECTORS_BETWEEN.format(table=table)
        for ordinal in sorted(chosen):
            rows += rows_between(db, between, ordinal - 1, ordinal, self._note)
        return intact_rows(rows, -1, _MOST_ORDINAL)

    def _read_some(
        self,
        db: apsw.Connection,
        query: str,
        ids: Sequence[str],
        fields: Fields,
        size: AnswerSize,
        found: Read,
    ) -> None:
        """Add the items among `ids` to `found`; where damage is met, one by one."""
        rows: list[Any] = []
        try:
            for row in db.execute(query, (orjson.dumps(list(ids)).decode(),)):
                size.add(row)
                rows.append(row)
            items = items_of(db, rows, fields, self._names)
            size.add_bytes(sum(item.more_vector_bytes for item in items))
            found.items.update({item.id: item for item in items})
        except (apsw.Error, RowDamaged) as error:
            self._note(error)
            if len(ids) == 1:
                found.damaged_ids.append(ids[0])
                return
            size.nbytes -= sum(map(nbytes, rows))
            for id in ids:
                self._read_some(db, query, [id], fields, size, found)

    def _salvage(self, db: apsw.Connection) -> list[tuple[str, int]]:
        """Return (id, ordinal) of what is still named, sorted by id.

        A store that is known to be damaged takes no writes, so they stay what they are.
        """
        if self._salvaged is None:
            items = live_items(db, _MOST_ORDINAL, self._note)
            self._salvaged = sorted((id, ordinal) for ordinal, id in items)
        return self._salvaged

    def _note(self, error: BaseException) -> None:
        """Remember damage; raise anything else again."""
        if not is_damage(error):
            raise error
        self._health.note(error, "met while items were read")

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
            if is_damage(error):
                self._note(error)
                raise damaged() from error
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


def _moment(db: apsw.Connection, fields: Fields) -> AbstractContextManager[None]:
    """Have an item and its further vectors be of one state of the store."""
    return one_moment(db) if fields.vector else nullcontext()
