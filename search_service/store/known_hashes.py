"""Hashes of known images that nobody here holds: a small database beside a collection's store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_service.store.side_file import SideFile

# Read together: 0.6 MB of rows without their texts.
_ROWS_PER_READ = 10_000

FILE = SideFile(
    name="hashes.db",
    application_id=0x4C4B4853,  # "LKHS"
    format_version=1,
    tables="""
CREATE TABLE hashes (
    hash BLOB PRIMARY KEY, quality INTEGER, name TEXT NOT NULL, label TEXT NOT NULL,
    time_us INTEGER NOT NULL
) WITHOUT ROWID;
""",
    holds="known hashes",
    remedy="restore it, or remove it and import the hashes again",
    misfits="""
SELECT count(*) FROM hashes WHERE typeof(hash) != 'blob' OR length(hash) != 32
    OR typeof(name) != 'text' OR typeof(label) != 'text' OR typeof(time_us) != 'integer'
    OR NOT (quality IS NULL OR (typeof(quality) = 'integer' AND quality BETWEEN 0 AND 100))
""",
)


@dataclass(frozen=True, slots=True)
class KnownHash:
    """A PDQ hash, 32 bytes; `quality` is None where it is not known."""

    hash: bytes
    quality: int | None
    name: str
    label: str
    time_us: int


class KnownHashes:
    """The list of one collection; a call blocks.

    Raises:
        LookalikeError, apsw.Error: see `SideFile.opened`.
    """

    def __init__(self, directory: Path) -> None:
        """Use the file in a collection's directory; it is made with the first hash."""
        self._directory = directory

    def put(self, hashes: Sequence[KnownHash]) -> int:
        """Note hashes, durably; one that is there is replaced. Returns how many were new."""
        rows = [(each.hash, each.quality, each.name, each.label, each.time_us) for each in hashes]
        return self._change("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?)", rows)

    def remove(self, hashes: Sequence[bytes] | None) -> int:
        """Forget hashes, or all with None; return how many were there."""
        if not FILE.is_in(self._directory):
            return 0
        if hashes is None:
            return -self._change("DELETE FROM hashes", [()])
        return -self._change("DELETE FROM hashes WHERE hash = ?", [(each,) for each in hashes])

    def _change(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Make a change, durably; return how many more hashes there are."""
        counts: list[int] = []
        with FILE.opened(self._directory, create=True) as db, db:
            counts.append(db.execute("SELECT count(*) FROM hashes").get)
            db.executemany(statement, rows)
            counts.append(db.execute("SELECT count(*) FROM hashes").get)
        return counts[1] - counts[0]

    def find(self, hashes: Sequence[bytes]) -> list[KnownHash]:
        """Return those of `hashes` that are there."""
        if not FILE.is_in(self._directory):
            return []
        found: list[Any] = []
        with FILE.opened(self._directory) as db:
            for each in hashes:
                found += db.execute("SELECT * FROM hashes WHERE hash = ?", (each,)).fetchall()
        return [KnownHash(*row) for row in found]

    def page(self, after: bytes, size: int) -> list[KnownHash]:
        """Return up to `size` by hash, after this one."""
        if not FILE.is_in(self._directory):
            return []
        with FILE.opened(self._directory) as db:
            rows: list[Any] = db.execute(
                "SELECT * FROM hashes WHERE hash > ? ORDER BY hash LIMIT ?", (after, size)
            ).fetchall()
        return [KnownHash(*row) for row in rows]

    def all(self) -> Iterator[list[tuple[bytes, int | None]]]:
        """Yield all hashes with their quality, some at a time, in one moment of the list."""
        if not FILE.is_in(self._directory):
            return
        with FILE.opened(self._directory) as db:
            rows: Any = db.execute("SELECT hash, quality FROM hashes ORDER BY hash")
            block: list[tuple[bytes, int | None]] = []
            for row in rows:
                block.append(row)
                if len(block) == _ROWS_PER_READ:
                    yield block
                    block = []
            yield block
