"""What earlier runs stored from which folder: a file of SQLite on the user's machine.

All folders that are synced with one file of state know of each other: an id belongs to one
of them, and none touches what another one stored.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lookalike.wire.errors import InvalidField
from lookalike_client.syncing.errors import SyncRefused

FORMAT = 1
_SCHEMA = f"""
PRAGMA user_version = {FORMAT};
CREATE TABLE folder (
  number INTEGER PRIMARY KEY, collection TEXT NOT NULL, root BLOB NOT NULL, prefix TEXT NOT NULL,
  is_mount INTEGER NOT NULL, UNIQUE (collection, root, prefix));
CREATE TABLE claim (
  folder INTEGER NOT NULL, id TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,
  earlier TEXT NOT NULL, stored INTEGER NOT NULL, stamp TEXT NOT NULL, is_nested INTEGER NOT NULL,
  PRIMARY KEY (folder, id)) WITHOUT ROWID;
CREATE INDEX claim_by_id ON claim (id);
CREATE TABLE move (
  folder INTEGER NOT NULL, target TEXT NOT NULL, source TEXT NOT NULL, sha256 TEXT NOT NULL,
  item BLOB, PRIMARY KEY (folder, target)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An item that came from a file of the folder.

    `sha256` is the content that the item has, or is about to have: `stored` tells which;
    `earlier` is what it may have until then. `stamp` tells whether the file is the same as
    when it was read, "" if it has to be read. `is_nested`: on another file system than
    the folder.
    """

    id: str
    file: str
    sha256: str
    earlier: str = ""
    stored: bool = False
    stamp: str = ""
    is_nested: bool = False

    def is_content(self, sha256: str) -> bool:
        """Whether this folder may have stored such a content under the id."""
        return bool(sha256) and sha256 in (self.sha256, self.earlier)


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """A move that was begun; `item` is what is moved, where nothing else keeps it."""

    target: str
    source: str
    sha256: str
    item: bytes | None = None


class State:
    """A file of state; used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            InvalidField: it is none of ours, or of a later version.
            OSError: its folder cannot be made.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        try:
            self._db = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA synchronous = FULL")
            with _writing(self._db):
                (version,) = self._db.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                        self._db.execute(statement)
        except sqlite3.Error as error:
            raise InvalidField("state", f"{path} cannot be used: {error}") from error
        if version not in (0, FORMAT):
            self._db.close()
            raise InvalidField(
                "state",
                f"{path} has format {version}; this release reads {FORMAT}: use the release that "
                "wrote it, or another file (--state, LOOKALIKE_SYNC_STATE)",
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def folder(self, collection_uid: str, root: Path, prefix: str) -> FolderState:
        """Return what is known of a folder, which is remembered once it has claims."""
        return FolderState(self._db, self._path, collection_uid, root, prefix)


class FolderState:
    """What is known of one folder in one collection. Each call is durable when it returns."""

    def __init__(
        self, db: sqlite3.Connection, path: Path, collection_uid: str, root: Path, prefix: str
    ) -> None:
        self._db, self._path = db, path
        self._key = (collection_uid, os.fsencode(root), prefix)
        self._number = self._find()

    @property
    def is_new(self) -> bool:
        """Whether the folder was never synced into the collection with this state."""
        return self._number is None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder: of two runs at a time, one would undo what the other does.

        Raises:
            SyncRefused: another run holds it.
        """
        name = hashlib.sha256(b"\0".join([self._key[0].encode(), self._key[1]])).hexdigest()[:16]
        with (self._path.parent / f"{self._path.name}.{name}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise SyncRefused("another `lookalike sync` of this folder is running") from error
            yield

    def was_mount(self) -> bool:
        """Whether the folder was where a file system is mounted."""
        row = self._db.execute(
            "SELECT is_mount FROM folder WHERE number = ?", (self._number,)
        ).fetchone()
        return bool(row and row[0])

    def claims(self) -> dict[str, Claim]:
        """Return all claims by id."""
        rows = self._db.execute(
            "SELECT id, file, sha256, earlier, stored, stamp, is_nested FROM claim"
            " WHERE folder = ?",
            (self._number,),
        )
        return {
            item_id: Claim(item_id, file, sha256, earlier, bool(stored), stamp, bool(is_nested))
            for item_id, file, sha256, earlier, stored, stamp, is_nested in rows
        }

    def of_others(self, ids: Iterable[str]) -> dict[str, Path]:
        """Return which of the ids belong to another folder, and where that is."""
        found = {}
        for item_id in ids:
            row = self._db.execute(
                "SELECT root FROM claim JOIN folder ON number = folder"
                " WHERE id = ? AND collection = ? AND folder IS NOT ? LIMIT 1",
                (item_id, self._key[0], self._number),
            ).fetchone()
            if row is not None:
                found[item_id] = Path(os.fsdecode(row[0]))
        return found

    def release(self, ids: Iterable[str]) -> None:
        """Take ids from the other folders that they belong to."""
        with _writing(self._db):
            self._db.executemany(
                "DELETE FROM claim WHERE id = ? AND folder IS NOT ? AND folder IN"
                " (SELECT number FROM folder WHERE collection = ?)",
                [(item_id, self._number, self._key[0]) for item_id in ids],
            )

    def remember(self, *, is_mount: bool) -> None:
        """Remember the folder."""
        with _writing(self._db):
            self._db.execute(
                "INSERT INTO folder (collection, root, prefix, is_mount) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET is_mount = excluded.is_mount",
                (*self._key, is_mount),
            )
            self._number = self._find()

    def claim(self, claims: Sequence[Claim]) -> None:
        """Write claims in place of those that their ids have."""
        with _writing(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(self._number, each.id, each.file, each.sha256, each.earlier),
                        *(each.stored, each.stamp, each.is_nested),
                    )
                    for each in claims
                ],
            )

    def drop(self, ids: Iterable[str]) -> None:
        """Forget claims."""
        with _writing(self._db):
            self._db.executemany(
                "DELETE FROM claim WHERE folder = ? AND id = ?",
                [(self._number, item_id) for item_id in ids],
            )

    def moves(self) -> Mapping[str, MoveRecord]:
        """Return the moves that were begun and not ended, by target."""
        rows = self._db.execute(
            "SELECT target, source, sha256, item FROM move WHERE folder = ?", (self._number,)
        )
        return {row[0]: MoveRecord(*row) for row in rows}

    def begin_moves(self, moves: Sequence[MoveRecord]) -> None:
        """Note moves before anything of them is done."""
        with _writing(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO move VALUES (?, ?, ?, ?, ?)",
                [(self._number, m.target, m.source, m.sha256, m.item) for m in moves],
            )

    def end_moves(self, targets: Iterable[str]) -> None:
        """Forget moves, which are done or no longer wanted."""
        with _writing(self._db):
            self._db.executemany(
                "DELETE FROM move WHERE folder = ? AND target = ?",
                [(self._number, target) for target in targets],
            )

    def _find(self) -> int | None:
        row = self._db.execute(
            "SELECT number FROM folder WHERE collection = ? AND root = ? AND prefix = ?", self._key
        ).fetchone()
        return None if row is None else int(row[0])


@contextmanager
def _writing(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
