"""Reads live vectors out of a store from another process, in short transactions.

A long read would keep SQLite from resetting its write-ahead log, so each batch
is a transaction of its own. Between batches a vector may be replaced or deleted:
then it is simply absent, and its ordinal, never reused, is dead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import orjson

from search_service.domain.arrays import F32, I64
from search_service.store.damage import RowDamaged, is_damage
from search_service.store.further import has_several, live_between
from search_service.store.named import live_named, vectors_table
from search_service.store.rows_read import checked_rows, intact_rows
from search_service.store.salvage import OnDamage, live_items, rows_between
from search_service.store.schema import open_reader

_VECTORS = "SELECT ordinal, vector FROM {table} WHERE ordinal > ? AND ordinal <= ? ORDER BY ordinal"
# Ordinals are read ahead of vectors in blocks of this many: 8 bytes each.
ORDINALS_PER_READ = 200_000
# Ids of the greatest length fill 32 MiB so.
IDS_PER_READ = 65_536


def iter_live_vectors(
    store_path: Path,
    after_ordinal: int,
    upto_ordinal: int,
    batch: int,
    on_damage: OnDamage | None = None,
    space: int = 0,
) -> Iterator[tuple[I64, F32]]:
    """Yield the live vectors with `after_ordinal < ordinal <= upto_ordinal`.

    Each item is (int64 [n], float32 [n, D]) with 1 <= n <= `batch`, ordinals
    ascending. Liveness is that of the moment of each batch. With `on_damage`, what
    is damaged is left out; without, nothing is yielded past it. `space` is the number of
    a name of vectors.

    Raises:
        apsw.Error: the store cannot be read, or is damaged.
        RowDamaged: a row is not what was written.
    """
    query = _VECTORS.format(table=vectors_table(space))
    with closing(open_reader(store_path, "")) as db:
        while after_ordinal < upto_ordinal:
            try:
                rows: list[Any] = db.execute(
                    f"{query} LIMIT ?", (after_ordinal, upto_ordinal, batch)
                ).fetchall()
                last = int(rows[-1][0]) if rows else upto_ordinal
                found = checked_rows(rows, after_ordinal)
            except (apsw.Error, RowDamaged) as error:
                if on_damage is None or not is_damage(error):
                    raise
                on_damage(error)
                last = min(after_ordinal + batch, upto_ordinal)
                found = intact_rows(
                    rows_between(db, query, after_ordinal, last, on_damage), after_ordinal, last
                )
            if len(found[0]):
                yield found
            after_ordinal = last


def live_ordinals(store_path: Path, upto_ordinal: int, space: int = 0) -> I64:
    """Return the ordinals of live vectors up to `upto_ordinal`, int64 [n], ascending."""
    blocks: list[I64] = [np.empty(0, dtype=np.int64)]
    with closing(open_reader(store_path, "")) as db:
        if space:
            return live_named(db, space, upto_ordinal)
        after = 0
        while True:
            some = live_between(db, after, upto_ordinal, ORDINALS_PER_READ, further=has_several(db))
            if not some:
                return np.concatenate(blocks)
            blocks.append(np.array(some, dtype=np.int64))
            after = some[-1]


def live_ids(db: apsw.Connection, upto_ordinal: int, on_damage: OnDamage) -> tuple[I64, list[str]]:
    """Return the ordinals of items, int64 [n] ascending, and the id of each; damaged ones are
    left out."""
    try:
        ordinals, ids = _live_ids(db)
        if (np.diff(ordinals) <= 0).any():
            raise RowDamaged("ordinals of the store are out of order")
        return ordinals, ids
    except (apsw.Error, RowDamaged) as error:
        if not is_damage(error):
            raise
        on_damage(error)
    except (TypeError, ValueError) as error:  # a page of another table in the place of one
        on_damage(error)
    items = live_items(db, upto_ordinal, on_damage)
    ordinals = np.fromiter((ordinal for ordinal, _ in items), dtype=np.int64, count=len(items))
    return ordinals, [id for _, id in items]


def _live_ids(db: apsw.Connection) -> tuple[I64, list[str]]:
    """Read the index by ordinal.

    SQLite writes them as JSON, without the interpreter and its lock, which others need
    meanwhile: to make a tuple for each row takes longer, and keeps them waiting.
    """
    blocks: list[I64] = [np.empty(0, dtype=np.int64)]
    ids: list[str] = []
    after = 0
    while True:
        row: Any = db.execute(
            "SELECT json_group_array(ordinal), json_group_array(id) FROM (SELECT ordinal, id"
            " FROM items WHERE ordinal > ? ORDER BY ordinal LIMIT ?)",
            (after, IDS_PER_READ),
        ).fetchone()
        ordinals, some = row
        block = np.array(orjson.loads(ordinals), dtype=np.int64)
        if not len(block):
            return np.concatenate(blocks), ids
        blocks.append(block)
        ids += orjson.loads(some)
        after = int(block[-1])
