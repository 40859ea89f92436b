"""Reads around damage: what a range of ordinals still holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from search_service.store.damage import is_damage

OnDamage = Callable[[BaseException], None]

# Failed reads after which the rest of a range is given up. A damaged leaf costs two for
# each of its rows; one above leaves costs two for each row below it, 20 us each.
MOST_FAILURES = 200_000
_ALL_TABLE = "SELECT id, ordinal FROM items NOT INDEXED WHERE ordinal IS NOT NULL AND "
_IDS_PER_READ = 1_000


def rows_between(
    db: apsw.Connection, query: str, after: int, upto: int, on_damage: OnDamage
) -> list[Any]:
    """Return the rows with `after < ordinal <= upto`, without those that cannot be read.

    `query` takes these two bounds and sorts by ordinal. A range that cannot be read is
    read in halves.

    Raises:
        apsw.Error: reading fails otherwise than by damage.
    """
    rows: list[Any] = []
    ranges = [(after, upto)]
    failures = 0
    while ranges:
        low, high = ranges.pop()
        try:
            rows += db.execute(query, (low, high)).fetchall()
        except apsw.Error as error:
            if not is_damage(error):
                raise
            on_damage(error)
            failures += 1
            if high - low > 1 and failures < MOST_FAILURES:
                middle = (low + high) // 2
                ranges += [(middle, high), (low, middle)]
    return rows


def live_items(db: apsw.Connection, upto: int, on_damage: OnDamage) -> list[tuple[int, str]]:
    """Return (ordinal, id) of what a damaged store still names, ascending.

    Ids stand in the table and in its index by ordinal: damage of one leaves the other.

    Raises:
        apsw.Error: reading fails otherwise than by damage.
    """
    query = "SELECT ordinal, id FROM items INDEXED BY items_by_ordinal WHERE ordinal > ?"
    query += " AND ordinal <= ? ORDER BY ordinal"
    found = dict(rows_between(db, query, 0, upto, on_damage))
    for condition in ("id > ? ORDER BY id", "id < ? ORDER BY id DESC"):
        found.update(_walk(db, condition, on_damage))
    return sorted(
        (ordinal, id)
        for ordinal, id in found.items()
        if isinstance(ordinal, int) and isinstance(id, str)
    )


def _walk(db: apsw.Connection, condition: str, on_damage: OnDamage) -> dict[int, str]:
    """Read the table from one end until damage is in the way."""
    found: dict[int, str] = {}
    last = "" if ">" in condition else chr(0x10FFFF)
    while True:
        try:
            rows: list[Any] = db.execute(
                f"{_ALL_TABLE}{condition} LIMIT {_IDS_PER_READ}", (last,)
            ).fetchall()
        except apsw.Error as error:
            if not is_damage(error):
                raise
            on_damage(error)
            return found
        found.update((ordinal, id) for id, ordinal in rows)
        if len(rows) < _IDS_PER_READ:
            return found
        last = rows[-1][0]
