"""Reads all items of a store from another process, in short transactions.

As in `vectors.py`, a long read would keep SQLite from resetting its write-ahead log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from lookalike.wire.errors import Reason, Unavailable
from search_service.domain.arrays import F32, I64
from search_service.store.damage import damaged, is_damage
from search_service.store.schema import open_reader


@dataclass(frozen=True, slots=True)
class ItemBlock:
    """Items that follow one another by ordinal.

    `ordinals` is int64 [n] ascending, `versions` int64 [n] those of the vectors, `vectors`
    float32 [n, D]; `metadata` and `facts`
    are as they are stored.
    """

    ordinals: I64
    ids: list[str]
    vectors: F32
    metadata: list[bytes]
    facts: list[bytes]
    versions: I64


def iter_items(store_path: Path, batch: int) -> Iterator[ItemBlock]:
    """Yield all live items in blocks of 1 to `batch`; each is read at a moment of its own.

    Raises:
        StoreDamaged: what is read is not what was written.
        Unavailable: the store cannot be read otherwise.
    """
    try:
        yield from _blocks(store_path, batch)
    except apsw.Error as error:
        if is_damage(error):
            raise damaged() from error
        raise Unavailable(
            "the collection's store cannot be read", reason=Reason.STORE_FAILED
        ) from error


def _blocks(store_path: Path, batch: int) -> Iterator[ItemBlock]:
    after = 0
    with closing(open_reader(store_path, "")) as db:
        while True:
            rows: list[Any] = db.execute(
                "SELECT i.ordinal, i.id, v.vector, d.metadata, d.facts, i.vector_version"
                " FROM items i"
                " JOIN vectors v ON v.ordinal = i.ordinal"
                " JOIN details d ON d.ordinal = i.ordinal"
                " WHERE i.ordinal > ? ORDER BY i.ordinal LIMIT ?",
                (after, batch),
            ).fetchall()
            if not rows:
                return
            ordinals = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
            vectors: F32 = np.frombuffer(b"".join(row[2] for row in rows), dtype="<f4")
            yield ItemBlock(
                ordinals=ordinals,
                ids=[row[1] for row in rows],
                vectors=vectors.reshape(len(rows), -1),
                metadata=[row[3] for row in rows],
                facts=[row[4] for row in rows],
                versions=np.fromiter((row[5] for row in rows), np.int64, len(rows)),
            )
            after = int(ordinals[-1])
