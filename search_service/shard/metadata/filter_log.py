"""What the store has changed since the metadata index was saved to a file.

A start with such a file must know which items have other metadata by now. New
items have greater ordinals than the store had given out, and dead ones are no
longer live; items that got other metadata under their old ordinal are listed
in the store, by the commit that told them. Each save has a token, which the store
knows from before the file is there: a file whose token it does not know, such as
one beside a store that was put back from a backup, is of no use.

    meta "filters.saves"          JSON: token, sequence and next ordinal of the
                                  latest saves, two at most
    meta "filters.retold.NUMBER"  ordinals, uint32, little-endian, of one commit
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import apsw
import numpy as np
import orjson
from pyroaring import BitMap

from search_service.domain.effects import Effect, MetadataChanged
from search_service.filters.bitmaps import bitmap_of
from search_service.store.schema import read_meta, write_meta

# Ordinals listed since a save, 4 bytes each; past them a start reads all items.
MOST_LISTED = 1_000_000
_SAVES = "filters.saves"
_RETOLD = "filters.retold."
_PAST_RETOLD = "filters.retold/"  # "/" follows "."


@dataclass(frozen=True, slots=True)
class Save:
    """A moment: all changes up to `sequence`, all ordinals below `next_ordinal`."""

    token: str
    sequence: int
    next_ordinal: int


class FilterLog:
    """The writer's side; its methods run inside the writer's transactions.

    `saved`, the token of the file that is there, may be set by any thread.
    """

    def __init__(self, db: apsw.Connection) -> None:
        last = db.execute(
            "SELECT key FROM meta WHERE key > ? AND key < ? ORDER BY key DESC LIMIT 1",
            (_RETOLD, _PAST_RETOLD),
        ).fetchone()
        sequences = [save.sequence for save in read_saves(db)]
        self._sequence = max([int(last[0].removeprefix(_RETOLD), 16) if last else 0, *sequences])
        self._listed = _count_listed(db)
        self.saved = ""

    def record(self, db: apsw.Connection, effects: Sequence[Effect]) -> None:
        """List the ordinals of a group that have other metadata from now on."""
        retold = {effect.ordinal for effect in effects if isinstance(effect, MetadataChanged)}
        if not retold:
            return
        self._sequence += 1
        self._listed += len(retold)
        if self._listed > MOST_LISTED:
            self._forget(db, self._sequence)
            _write_saves(db, [])
            return
        ordinals = np.fromiter(retold, dtype="<u4", count=len(retold))
        write_meta(db, f"{_RETOLD}{self._sequence:016x}", ordinals.tobytes())

    def begin(self, db: apsw.Connection) -> Save:
        """Make the present moment one that a file may be of."""
        kept = [save for save in read_saves(db) if save.token == self.saved]
        self._forget(db, kept[0].sequence if kept else self._sequence)
        save = Save(secrets.token_hex(16), self._sequence, int(read_meta(db, "next_ordinal")))
        _write_saves(db, [*kept, save])
        return save

    def _forget(self, db: apsw.Connection, upto: int) -> None:
        """Remove what no file needs any more."""
        last = f"{_RETOLD}{upto:016x}"
        db.execute("DELETE FROM meta WHERE key > ? AND key <= ?", (_RETOLD, last))
        self._listed = _count_listed(db)


def read_saves(db: apsw.Connection) -> list[Save]:
    """Read which saves a store knows."""
    found = db.execute("SELECT value FROM meta WHERE key = ?", (_SAVES,)).fetchone()
    return [Save(*each) for each in orjson.loads(found[0])] if found else []


def retold_since(db: apsw.Connection, save: Save) -> BitMap:
    """Read the ordinals that have other metadata since `save`, dead ones among them."""
    rows = db.execute(
        "SELECT value FROM meta WHERE key > ? AND key < ?",
        (f"{_RETOLD}{save.sequence:016x}", _PAST_RETOLD),
    )
    return bitmap_of(np.frombuffer(b"".join(row[0] for row in rows), dtype="<u4"))


def _write_saves(db: apsw.Connection, saves: list[Save]) -> None:
    lines = [[save.token, save.sequence, save.next_ordinal] for save in saves]
    write_meta(db, _SAVES, orjson.dumps(lines))


def _count_listed(db: apsw.Connection) -> int:
    found: int = db.execute(
        "SELECT coalesce(sum(length(value)), 0) / 4 FROM meta WHERE key > ? AND key < ?",
        (_RETOLD, _PAST_RETOLD),
    ).get
    return found
