"""Small databases beside a collection's store, each opened anew for every use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from lookalike.wire.errors import Exhausted, Reason, Unavailable
from search_service.store import schema


@dataclass(frozen=True, slots=True)
class SideFile:
    """What a kind of side file is: its name, tables and form.

    `holds` names what is in it, for messages, and `remedy` what to do where it cannot be
    read.
    """

    name: str
    application_id: int
    format_version: int
    tables: str
    holds: str
    remedy: str

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
