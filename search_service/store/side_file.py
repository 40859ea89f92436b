"""Small databases beside a collection's store, each opened anew for every use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from lookalike.wire.errors import Exhausted, Reason, Unavailable
from search_service.store import schema

_PIECE_BYTES = 1 << 20
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


@dataclass(frozen=True, slots=True)
class SideFile:
    """What a kind of side file is: its name, tables and form.

    `holds` names what is in it, for messages, and `remedy` what to do where it cannot be
    read. `misfits` is a query of how many rows no release wrote.
    """

    name: str
    application_id: int
    format_version: int
    tables: str
    holds: str
    remedy: str
    misfits: str

    @contextmanager
    def opened(self, directory: Path, *, create: bool = False) -> Iterator[apsw.Connection]:
        """Open the file in a collection's directory; it is there, or made with `create`.

        Raises:
            Unavailable: STORE_FAILED, the file is damaged or of another form.
            Exhausted: the disk is full.
            apsw.Error: the disk cannot be used.
        """
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        try:
            with closing(apsw.Connection(str(directory / self.name), flags=flags)) as db:
                db.set_busy_timeout(schema.BUSY_MS)
                self._check(db)
                yield db
        except apsw.FullError as error:
            raise Exhausted(
                f"the disk of the search service is full: the {self.holds} were not noted",
                reason=Reason.DISK_FULL,
                retry_delay_s=5.0,
            ) from error
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise self._failed("is damaged") from error

    def is_in(self, directory: Path) -> bool:
        """Say whether the file is there."""
        return (directory / self.name).exists()

    def copy(self, directory: Path, target: Path, spend: Callable[[int], None]) -> None:
        """Write the file in a collection's directory, as it is at one moment, to `target`.

        `spend` hears of the bytes. What is copied is whole, but not yet synced.

        Raises:
            LookalikeError, apsw.Error: see `opened`.
        """
        with self.opened(directory) as db, closing(apsw.Connection(str(target))) as copy:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_master").fetchall()  # the moment
            page_bytes = db.pragma("page_size")
            with copy.backup("main", db, "main") as backup:
                while not backup.done:
                    backup.step(max(1, _PIECE_BYTES // page_bytes))
                    spend(_PIECE_BYTES)
            db.execute("ROLLBACK")
            if copy.pragma("quick_check", 1) != "ok":
                raise self._failed("is damaged")

    def is_ours(self, path: Path) -> bool:
        """Say whether a file that came from elsewhere is whole, and one that this release reads.

        Raises:
            apsw.Error: it is no database, or damaged.
        """
        with closing(schema.open_unchanging(path)) as db:
            form = (db.pragma("application_id"), db.pragma("user_version"))
            # Exactly our tables: a trigger or a view would run within our own statements.
            return (
                form == (self.application_id, self.format_version)
                and _tables_of(db) == self._own_tables()
                and db.pragma("quick_check", 1) == "ok"
                and db.execute(self.misfits).get == 0
            )

    def _own_tables(self) -> list[Any]:
        with closing(apsw.Connection(":memory:")) as db:
            db.execute(self.tables)
            return _tables_of(db)

    def _check(self, db: apsw.Connection) -> None:
        if not db.pragma("user_version") and not db.pragma("application_id"):
            with db:
                db.execute(self.tables)
                db.pragma("application_id", self.application_id)
                db.pragma("user_version", self.format_version)
            return
        if db.pragma("application_id") != self.application_id:
            raise self._failed("is not one of Lookalike's")
        if db.pragma("user_version") != self.format_version:
            raise self._failed("is of another release")

    def _failed(self, why: str) -> Unavailable:
        return Unavailable(
            f"the file of {self.holds}, {self.name}, {why}: {self.remedy}",
            reason=Reason.STORE_FAILED,
        )


def _tables_of(db: apsw.Connection) -> list[Any]:
    rows: list[Any] = db.execute(_SCHEMA).fetchall()
    return rows
