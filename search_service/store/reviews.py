"""What people decided about duplicates: a small database beside a collection's store.

Each call opens it anew: decisions are made by hand, a few a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_service.store.side_file import SideFile

FILE = SideFile(
    name="reviews.db",
    application_id=0x4C4B5256,  # "LKRV"
    format_version=1,
    tables="""
CREATE TABLE decisions (
    id TEXT NOT NULL, other_id TEXT NOT NULL, verdict TEXT NOT NULL, time_us INTEGER NOT NULL,
    PRIMARY KEY (id, other_id)
) WITHOUT ROWID;
""",
    holds="decisions on duplicates",
    remedy="restore it, or remove it to decide anew",
    misfits="""
SELECT count(*) FROM decisions WHERE typeof(id) != 'text' OR typeof(other_id) != 'text'
    OR id = '' OR typeof(time_us) != 'integer' OR (
        (other_id = '' OR verdict NOT IN ('duplicate', 'different') OR other_id <= id)
        AND (other_id != '' OR verdict NOT IN ('keep', 'ignore'))
    )
""",
)


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
        LookalikeError, apsw.Error: see `SideFile.opened`.
    """

    def __init__(self, directory: Path) -> None:
        """Use the file in a collection's directory; it is made with the first decision."""
        self._directory = directory

    def decide(self, decisions: Sequence[Decision], cleared: Sequence[tuple[str, str]]) -> None:
        """Note decisions and take back others, durably; what was decided before is replaced."""
        with FILE.opened(self._directory, create=True) as db, db:
            db.executemany("DELETE FROM decisions WHERE id = ? AND other_id = ?", cleared)
            db.executemany(
                "INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?)",
                [(each.id, each.other_id, each.verdict, each.time_us) for each in decisions],
            )

    def page(self, after: tuple[str, str], size: int) -> list[Decision]:
        """Return up to `size` decisions by id, after the one of these ids."""
        if not FILE.is_in(self._directory):
            return []
        with FILE.opened(self._directory) as db:
            rows: list[Any] = db.execute(
                "SELECT * FROM decisions WHERE (id, other_id) > (?, ?)"
                " ORDER BY id, other_id LIMIT ?",
                (*after, size),
            ).fetchall()
        return [Decision(*row) for row in rows]

    def all(self) -> list[Decision]:
        """Return all decisions."""
        return self.page(("", ""), -1)
