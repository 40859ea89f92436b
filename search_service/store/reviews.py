"""What people decided about duplicates: a small database beside a collection's store.

Each call opens it anew: decisions are made by hand, a few a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from lookalike.wire.errors import Exhausted, Reason, Unavailable
from search_service.store import schema

REVIEWS = "reviews.db"
APPLICATION_ID = 0x4C4B5256  # "LKRV"
FORMAT_VERSION = 1

_TABLES = """
CREATE TABLE decisions (
    id TEXT NOT NULL, other_id TEXT NOT NULL, verdict TEXT NOT NULL, time_us INTEGER NOT NULL,
    PRIMARY KEY (id, other_id)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on an item or, where `other_id` is not empty, on a pair: `id` < `other_id`."""

    id: str
    other_id: str
    verdict: str
    time_us: int


class Reviews:
    """The decisions of one collection; a call blocks.

    Raises:
        Unavailable: STORE_FAILED, the file is damaged or of another form.
        Exhausted: the disk is full.
        apsw.Error: the disk cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        """Use the file in a collection's directory; it is made with the first decision."""
        self._path = directory / REVIEWS

    def decide(self, decisions: Sequence[Decision], cleared: Sequence[tuple[str, str]]) -> None:
        """Note decisions and take back others, durably; what was decided before is replaced."""
        with self._opened(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) as db, db:
            db.executemany("DELETE FROM decisions WHERE id = ? AND other_id = ?", cleared)
            db.executemany(
                "INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?)",
                [(each.id, each.other_id, each.verdict, each.time_us) for each in decisions],
            )

    def page(self, after: tuple[str, str], size: int) -> list[Decision]:
        """Return up to `size` decisions by id, after the one of these ids."""
        if not self._path.exists():
            return []
        with self._opened(apsw.SQLITE_OPEN_READWRITE) as db:
            rows: list[Any] = db.execute(
                "SELECT * FROM decisions WHERE (id, other_id) > (?, ?)"
                " ORDER BY id, other_id LIMIT ?",
                (*after, size),
            ).fetchall()
        return [Decision(*row) for row in rows]

    def all(self) -> list[Decision]:
        """Return all decisions."""
        return self.page(("", ""), -1)

    @contextmanager
    def _opened(self, flags: int) -> Iterator[apsw.Connection]:
        try:
            with closing(apsw.Connection(str(self._path), flags=flags)) as db:
                db.set_busy_timeout(schema.BUSY_MS)
                self._check(db)
                yield db
        except apsw.FullError as error:
            raise Exhausted(
                "the disk of the search service is full: the decisions were not noted",
                reason=Reason.DISK_FULL,
                retry_delay_s=5.0,
            ) from error
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise _failed("is damaged") from error

    def _check(self, db: apsw.Connection) -> None:
        if not db.pragma("user_version") and not db.pragma("application_id"):
            with db:
                db.execute(_TABLES)
                db.pragma("application_id", APPLICATION_ID)
                db.pragma("user_version", FORMAT_VERSION)
            return
        if db.pragma("application_id") != APPLICATION_ID:
            raise _failed("is not one of Lookalike's")
        if db.pragma("user_version") != FORMAT_VERSION:
            raise _failed("is of another release")


def _failed(why: str) -> Unavailable:
    return Unavailable(
        f"the file of decisions on duplicates, {REVIEWS}, {why}: restore it, or remove it to "
        "decide anew",
        reason=Reason.STORE_FAILED,
    )
