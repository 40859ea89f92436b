"""The rows of one transaction: read before its first mutation, written after its last.

A statement lets go of the interpreter and waits to get it back, beside busy threads
for longer than it took to run. An upsert is seven steps; here one statement serves a
step of up to hundreds of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, TypeAlias

import apsw

from lookalike.wire.vectors import encode
from search_service.domain.arrays import F32
from search_service.domain.mutations import NearDuplicate, Upsert
from search_service.store.further import erase_further, has_several, take_several
from search_service.store.named import erase_named, vectors_table
from search_service.store.rules import Registers

NO_REGISTERS = Registers()
# Ids looked up by one statement, and rows written by one: 128 KiB of vectors of 512.
_IDS_A_STATEMENT = 256
_ROWS_A_STATEMENT = 64

_Value: TypeAlias = str | int | float | bytes | None

_READ_ITEMS = (
    "SELECT items.id, items.ordinal, vector_version, metadata_version, delete_version, near_id,"
    " near_score, near_flagged, details.metadata, pending_metadata.metadata FROM items"
    " LEFT JOIN details ON details.ordinal = items.ordinal"
    " LEFT JOIN pending_metadata ON pending_metadata.id = items.id WHERE items.id IN "
)
_READ_REJECTIONS = "SELECT id, version, near_id, near_score FROM rejections WHERE id IN "
_WRITE_ITEMS = (
    "INSERT OR REPLACE INTO items (id, ordinal, vector_version, metadata_version, delete_version,"
    " update_time_us, near_id, near_score, near_flagged) VALUES "
)
_WRITE_VECTORS = "INSERT INTO vectors (ordinal, vector) VALUES "
_WRITE_FURTHER = "INSERT INTO further_vectors (ordinal, item) VALUES "
_WRITE_NAMED = "INSERT INTO {table} (ordinal, item, vector) VALUES "
_WRITE_DETAILS = "INSERT INTO details (ordinal, metadata, facts) VALUES "
_WRITE_THUMBNAILS = "INSERT INTO thumbnails (ordinal, thumbnail) VALUES "


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A row of `items`; `ordinal` is None where there is no vector."""

    id: str
    registers: Registers = NO_REGISTERS
    ordinal: int | None = None
    near: NearDuplicate | None = None
    flagged: bool = False


class _Fresh(NamedTuple):
    """What hangs on an ordinal of this transaction."""

    vector: F32
    metadata: bytes
    facts: bytes
    thumbnail: bytes
    further: tuple[F32, ...]
    named: Mapping[str, tuple[F32, ...]]


class RowBatch:
    """Rows of these ids as the mutations so far leave them; `flush` writes them.

    All methods run inside the writer's transaction.
    """

    def __init__(self, db: apsw.Connection, ids: Sequence[str], names: Sequence[str] = ()) -> None:
        """Read what there is of `ids`; `names` are those of the collection's named vectors."""
        self._db = db
        self._names = names
        self._several = has_several(db)
        self._rows: dict[str, ItemRow] = {}
        self._metadata: dict[str, bytes] = {}
        self._waiting: set[str] = set()  # ids with a row in `pending_metadata`
        self._rejections: dict[tuple[str, int], NearDuplicate] = {}
        self._changed: dict[str, ItemRow] = {}
        self._fresh: dict[int, _Fresh] = {}
        for some in _chunks(list(dict.fromkeys(ids))):
            self._read(some)

    def row(self, id: str) -> ItemRow:
        """Return an id's row; an empty one where there is none."""
        return self._rows.get(id) or ItemRow(id)

    def metadata(self, id: str) -> bytes:
        """Return the metadata of an item, or what waits for its vector, as JSON."""
        return self._metadata.get(id, b"{}")

    def rejection(self, id: str, version: int) -> NearDuplicate | None:
        """Return what an upsert was once rejected for."""
        return self._rejections.get((id, version))

    def reject(self, id: str, version: int, near: NearDuplicate) -> None:
        """Remember a rejection, so that the same upsert gets the same answer again."""
        self._rejections[id, version] = near
        self._db.execute(
            "INSERT OR REPLACE INTO rejections (id, version, near_id, near_score)"
            " VALUES (?, ?, ?, ?)",
            (id, version, near.id, near.score),
        )

    def put(self, row: ItemRow) -> None:
        """Take an id's row as it is now."""
        self._rows[row.id] = self._changed[row.id] = row

    def add_vectors(self, ordinal: int, upsert: Upsert, metadata: bytes) -> None:
        """Take what hangs on a new ordinal of an id, and on the next if it has further vectors.

        The row of the id follows.
        """
        self._fresh[ordinal] = _Fresh(
            upsert.vector,
            metadata,
            upsert.facts,
            upsert.thumbnail,
            upsert.further,
            upsert.named,
        )
        self._metadata[upsert.id] = metadata

    def erase_vectors(self, ordinal: int) -> list[int]:
        """Remove what hangs on an item's ordinal; return how many vectors it had of its own,
        and by each name."""
        fresh = self._fresh.pop(ordinal, None)
        if fresh is not None:
            return [
                1 + len(fresh.further),
                *(len(fresh.named.get(name, ())) for name in self._names),
            ]
        self._db.execute("DELETE FROM vectors WHERE ordinal = ?", (ordinal,))
        self._db.execute("DELETE FROM details WHERE ordinal = ?", (ordinal,))
        self._db.execute("DELETE FROM thumbnails WHERE ordinal = ?", (ordinal,))
        numbers = range(1, len(self._names) + 1)
        further = erase_further(self._db, ordinal) if self._several else 0
        return [1 + further, *(erase_named(self._db, number, ordinal) for number in numbers)]

    def set_metadata(self, row: ItemRow, metadata: bytes) -> None:
        """Write an item's metadata, or have it wait where there is no vector."""
        self._metadata[row.id] = metadata
        if row.ordinal is None:
            self._waiting.add(row.id)
            self._db.execute(
                "INSERT OR REPLACE INTO pending_metadata (id, metadata) VALUES (?, ?)",
                (row.id, metadata),
            )
        elif row.ordinal in self._fresh:
            self._fresh[row.ordinal] = self._fresh[row.ordinal]._replace(metadata=metadata)
        else:
            self._db.execute(
                "UPDATE details SET metadata = ? WHERE ordinal = ?", (metadata, row.ordinal)
            )

    def forget(self, id: str) -> None:
        """Forget an id's metadata; what hangs on a vector is erased with it."""
        self._metadata.pop(id, None)
        if id in self._waiting:
            self._waiting.discard(id)
            self._db.execute("DELETE FROM pending_metadata WHERE id = ?", (id,))

    def flush(self, now_us: int) -> None:
        """Write what was put and added."""
        fresh = self._fresh.items()
        vectors = [
            (ordinal, encode(vector))
            for key, one in fresh
            for ordinal, vector in enumerate((one.vector, *one.further), key)
        ]
        self._insert(_WRITE_VECTORS, vectors)
        further = [
            (key + place, key) for key, one in fresh for place in range(1, len(one.further) + 1)
        ]
        if further:
            take_several(self._db)
            self._insert(_WRITE_FURTHER, further)
        for number, name in enumerate(self._names, 1):
            named = [
                (key + place, key, encode(vector))
                for key, one in fresh
                for place, vector in enumerate(one.named.get(name, ()))
            ]
            self._insert(_WRITE_NAMED.format(table=vectors_table(number)), named)
        self._insert(_WRITE_DETAILS, [(key, one.metadata, one.facts) for key, one in fresh])
        thumbnails = [(key, one.thumbnail) for key, one in fresh if one.thumbnail]
        self._insert(_WRITE_THUMBNAILS, thumbnails)
        self._insert(_WRITE_ITEMS, [_values(row, now_us) for row in self._changed.values()])

    def _read(self, ids: list[str]) -> None:
        # A power of two, so that there are few statements, each prepared once.
        count = 1 << (len(ids) - 1).bit_length()
        asked, places = ids + ids[-1:] * (count - len(ids)), _places(count)
        for id, ordinal, *versions, near, score, flagged, held, waiting in self._db.execute(
            _READ_ITEMS + places, asked
        ):
            self._rows[id] = ItemRow(
                id=id,
                registers=Registers(*versions),
                ordinal=ordinal,
                near=None if near is None else NearDuplicate(near, score),
                flagged=bool(flagged),
            )
            if waiting is not None:
                self._waiting.add(id)
            metadata = waiting if ordinal is None else held
            if metadata is not None:
                self._metadata[id] = metadata
        for id, version, near, score in self._db.execute(_READ_REJECTIONS + places, asked):
            self._rejections[id, version] = NearDuplicate(near, score)

    def _insert(self, statement: str, rows: Sequence[tuple[_Value, ...]]) -> None:
        if not rows:
            return
        row = _places(len(rows[0]))
        many = statement + ", ".join([row] * _ROWS_A_STATEMENT)
        whole = len(rows) - len(rows) % _ROWS_A_STATEMENT
        for start in range(0, whole, _ROWS_A_STATEMENT):
            some = rows[start : start + _ROWS_A_STATEMENT]
            self._db.execute(many, tuple(chain.from_iterable(some)))
        self._db.executemany(statement + row, rows[whole:])


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[at : at + _IDS_A_STATEMENT] for at in range(0, len(ids), _IDS_A_STATEMENT)]


def _places(count: int) -> str:
    return f"({', '.join('?' * count)})"


def _values(row: ItemRow, now_us: int) -> tuple[_Value, ...]:
    registers, near = row.registers, row.near
    return (
        row.id,
        row.ordinal,
        registers.vector,
        registers.metadata,
        registers.delete,
        now_us,
        near.id if near else None,
        near.score if near else None,
        int(row.flagged) if near else None,
    )
