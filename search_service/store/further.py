"""Items with several vectors: all but an item's first stand under ordinals of their own.

They follow the item's ordinal without a gap, and have their rows in `vectors`; here each
is noted with the item's ordinal. A store gets the table, and a format of its own, with the
first such item: one without stays what earlier releases read.
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
from search_service.store.schema import FURTHER_TABLE, SEVERAL_FORMATS, SEVERAL_MORE

_READ = (
    "SELECT ordinal, item FROM further_vectors WHERE ordinal > ? AND ordinal <= ? ORDER BY ordinal"
)
_ITEMS_LIVE = (
    "SELECT ordinal FROM items INDEXED BY items_by_ordinal WHERE ordinal > ?1 AND ordinal <= ?2"
)
_FURTHER_LIVE = "SELECT ordinal FROM further_vectors WHERE ordinal > ?1 AND ordinal <= ?2"
_OF_ITEM = f"ordinal > ?1 AND ordinal < ?1 + {MAX_ITEM_VECTORS} AND item = ?1"
_VECTORS_OF = (
    "SELECT f.item, v.vector FROM json_each(?) AS wanted JOIN further_vectors f"  # noqa: S608 - built from constants
    f" ON f.ordinal > wanted.value AND f.ordinal < wanted.value + {MAX_ITEM_VECTORS}"
    " AND f.item = wanted.value LEFT JOIN vectors v ON v.ordinal = f.ordinal ORDER BY f.ordinal"
)


def has_several(db: apsw.Connection) -> bool:
    """Say whether there was ever an item with several vectors."""
    return db.pragma("user_version") in SEVERAL_FORMATS


def take_several(db: apsw.Connection) -> None:
    """Make the store one that holds such items, within the caller's transaction."""
    if not has_several(db):
        db.execute(FURTHER_TABLE)
        db.pragma("user_version", int(db.pragma("user_version")) + SEVERAL_MORE)


def live_between(
    db: apsw.Connection, after: int, upto: int, limit: int, *, further: bool
) -> list[int]:
    """Read up to `limit` ordinals of items with `after` < ordinal <= `upto`, ascending; any
    number with -1, and with `further` those of further vectors too, where a store has any."""
    query = f"{_ITEMS_LIVE} UNION ALL {_FURTHER_LIVE}" if further else _ITEMS_LIVE
    rows: list[Any] = db.execute(f"{query} ORDER BY 1 LIMIT ?3", (after, upto, limit)).fetchall()
    return [row[0] for row in rows]


def further_ordinals(db: apsw.Connection, items: I64, on_damage: OnDamage) -> tuple[I64, I64]:
    """Return the ordinals of further vectors and of their items, int64 [n] both, the first
    ascending; `items` are the live ones, int64 [m] ascending, and what is of no other is
    damaged, as is what cannot be read: left out."""
    none = np.empty(0, dtype=np.int64)
    if not has_several(db):
        return none, none
    rows = rows_between(db, _READ, 0, 2**62, on_damage)
    pairs = np.array(sorted(rows), dtype=np.int64).reshape(-1, 2)
    ordinals, of = pairs[:, 0], pairs[:, 1]
    fits = (ordinals > of) & (ordinals < of + MAX_ITEM_VECTORS) & np.isin(of, items)
    fits &= ~np.isin(ordinals, items)
    if not fits.all():
        on_damage(RowDamaged("further vectors are not those of items"))
    return ordinals[fits].copy(), of[fits].copy()


def vectors_of(db: apsw.Connection, items: Sequence[int]) -> dict[int, tuple[F32, ...]]:
    """Return the further vectors of items by ordinal, where there are any.

    Raises:
        RowDamaged: one is not what was written.
    """
    found: defaultdict[int, list[F32]] = defaultdict(list)
    if not has_several(db):
        return {}
    for item, data in db.execute(_VECTORS_OF, (orjson.dumps(list(items)).decode(),)):
        vector: F32 = np.frombuffer(data or b"", dtype="<f4")
        if not len(vector) or not are_unit(vector[np.newaxis]):
            raise RowDamaged("a further vector of an item is not what was written")
        found[item].append(vector)
    return {item: tuple(vectors) for item, vectors in found.items()}


def erase_further(db: apsw.Connection, item: int) -> int:
    """Remove the further vectors of an item; return how many there were."""
    db.execute(
        "DELETE FROM vectors WHERE ordinal IN"  # noqa: S608 - built from constants
        f" (SELECT ordinal FROM further_vectors WHERE {_OF_ITEM})",
        (item,),
    )
    db.execute(f"DELETE FROM further_vectors WHERE {_OF_ITEM}", (item,))  # noqa: S608 - as above
    return db.changes()
