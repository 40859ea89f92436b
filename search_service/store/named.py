"""Vectors that items have by name, besides their own: of another model, another dimension.

The vectors of the n-th name stand in a table `named_n` with ordinals that begin at the
item's own: what is known of an item by its ordinal is known for all its names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np
import orjson

from search_service.domain.arrays import F32, I64
from search_service.limits import MAX_ITEM_VECTORS
from search_service.store.damage import RowDamaged
from search_service.store.rows_read import are_unit
from search_service.store.salvage import OnDamage, rows_between

_TABLE = """
CREATE TABLE named_{n} (ordinal INTEGER PRIMARY KEY, item INTEGER NOT NULL, vector BLOB NOT NULL);
CREATE INDEX named_{n}_by_item ON named_{n} (item);
"""
_MEMBERS = (
    "SELECT ordinal, item FROM named_{n} INDEXED BY named_{n}_by_item"
    " WHERE item > ? AND item <= ? ORDER BY item, ordinal"
)
_VECTORS_OF = (
    "SELECT n.item, n.vector FROM json_each(?) AS wanted"
    " JOIN named_{n} n ON n.item = wanted.value ORDER BY n.item, n.ordinal"
)


def tables(count: int) -> str:
    """Return the statements that make the tables of so many names."""
    return "".join(_TABLE.format(n=number) for number in range(1, count + 1))


def vectors_table(number: int) -> str:
    """Return the table with the vectors of the n-th name; 0 for the items' own."""
    return f"named_{number}" if number else "vectors"


def count_names(db: apsw.Connection) -> int:
    """Return how many names a store has tables for."""
    return int(
        db.execute(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB 'named_[0-9]*'"
        ).get
    )


def members(
    db: apsw.Connection, number: int, items: I64, upto: int, on_damage: OnDamage
) -> tuple[I64, I64]:
    """Return the ordinals of the n-th name's vectors, and of their items: int64 [n] both, the
    first ascending. `items` are the live ones, int64 [m] ascending; what is of no other, or
    cannot be read, is damaged and left out."""
    rows = rows_between(db, _MEMBERS.format(n=number), 0, upto, on_damage)
    pairs = np.array(sorted(rows), dtype=np.int64).reshape(-1, 2)
    ordinals, of = pairs[:, 0], pairs[:, 1]
    fits = (ordinals >= of) & (ordinals < of + MAX_ITEM_VECTORS) & np.isin(of, items)
    if not fits.all():
        on_damage(RowDamaged("named vectors are not those of items"))
    return ordinals[fits].copy(), of[fits].copy()


def live_named(db: apsw.Connection, number: int, upto: int) -> I64:
    """Return the ordinals of the n-th name's vectors up to one, int64 [n] ascending."""
    rows: list[Any] = db.execute(_MEMBERS.format(n=number), (0, upto)).fetchall()
    ordinals = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    return ordinals[ordinals <= upto]


def named_vectors_of(
    db: apsw.Connection, number: int, items: Sequence[int]
) -> dict[int, tuple[F32, ...]]:
    """Return the n-th name's vectors of items by ordinal, where there are any.

    Raises:
        RowDamaged: one is not what was written.
    """
    found: defaultdict[int, list[F32]] = defaultdict(list)
    for item, data in db.execute(
        _VECTORS_OF.format(n=number), (orjson.dumps(list(items)).decode(),)
    ):
        vector: F32 = np.frombuffer(data, dtype="<f4")
        if not len(vector) or not are_unit(vector[np.newaxis]):
            raise RowDamaged("a named vector of an item is not what was written")
        found[item].append(vector)
    return {item: tuple(vectors) for item, vectors in found.items()}


def erase_named(db: apsw.Connection, number: int, item: int) -> int:
    """Remove the n-th name's vectors of an item; return how many there were."""
    db.execute(f"DELETE FROM named_{number} WHERE item = ?", (item,))  # noqa: S608 - a number
    return db.changes()
