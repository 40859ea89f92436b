"""What was accepted and has not ended yet, kept apart from the queue's server.

Redis can forget: flushed, restarted without an append-only file, restored from an
older snapshot. What it forgot can only be known by somebody else.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from lookalike.serving.queue import jobs
from lookalike.serving.queue.entries import QueuedMutation
from lookalike.serving.queue.keys import LANES
from lookalike.wire.errors import Reason, Unavailable

# 128 at a time 27,000 were noted a second and 78,000 taken out (2 cores, AMD EPYC), more
# than a queue that syncs takes in. A commit without a sync: what a crash of this process
# leaves is whole. A crash of the machine may lose the last commits, and with them only
# the notice of a loss.
FORMAT = 1
_SCHEMA = f"""
PRAGMA user_version = {FORMAT};
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS accepted (
  uid TEXT NOT NULL, version INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
  job TEXT NOT NULL, lane INTEGER NOT NULL, entry TEXT NOT NULL, time_ms INTEGER NOT NULL,
  PRIMARY KEY (uid, version)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS accepted_by_id ON accepted (uid, id, version);
CREATE INDEX IF NOT EXISTS accepted_by_job ON accepted (job);
CREATE TABLE IF NOT EXISTS lost (
  uid TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, time_ms INTEGER NOT NULL,
  PRIMARY KEY (uid, id)
) WITHOUT ROWID;
"""
_COLUMNS = "uid, version, id, kind, job, lane, entry, time_ms"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A mutation in the queue: in which lane, and under which entry; "" before it has one."""

    uid: str
    version: int
    id: str
    kind: str
    job: str
    lane: int
    entry: str
    time_ms: int

    @property
    def owner(self) -> str:
        """Whose work it is; as `embedder_service.worker.protocols.Entry.owner`."""
        return self.job or self.uid


class Ledger:
    """The table of accepted mutations, in a file; ":memory:" for one that is not kept.

    Safe to call from many threads; every method may wait for the disk.
    """

    def __init__(self, path: str) -> None:
        """Open the file, or make it.

        Raises:
            Unavailable: a later release wrote it.
        """
        self._lock = threading.Lock()
        self._db = apsw.Connection(path)
        found = self._db.pragma("user_version")  # 0: new, or of before formats were noted
        if found > FORMAT:
            self._db.close()
            raise Unavailable(
                f"the ledger of ingestion has format {found}; this release reads up to {FORMAT}: "
                "use the release that wrote it",
                reason=Reason.STORE_FAILED,
            )
        self._db.execute(_SCHEMA).fetchall()
        # An append that was never answered: its caller was not told that it is queued.
        self._db.execute("DELETE FROM accepted WHERE entry = ''")
        self._owners: dict[str, Counter[int]] = {}
        self._open = 0
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM accepted"):  # noqa: S608 - our names
            self._count(Accepted(*row), 1)
            self._open += 1

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @property
    def open(self) -> int:
        """How many were accepted and have not ended."""
        return self._open

    def begin(self, mutations: Sequence[QueuedMutation]) -> list[int]:
        """Note mutations that are about to be queued; return the lane of each."""
        lanes = []
        with self._lock, self._db:
            for one in mutations:
                owner = one.job_id or one.collection_uid
                lane = self._lane_of(one.collection_uid, one.id, owner)
                row = Accepted(
                    one.collection_uid, one.version, one.id, one.kind.value, one.job_id, lane, "",
                    one.submit_time_ms,
                )  # fmt: skip
                self._put(row)
                lanes.append(lane)
        return lanes

    def confirm(self, entries: Iterable[tuple[str, int, str]]) -> None:
        """Note under which entries (collection UID, version, entry) they are queued.

        What was lost of an item before is past once a newer mutation is queued.
        """
        with self._lock, self._db:
            for uid, version, entry in entries:
                for item_id, job in self._db.execute(
                    "UPDATE accepted SET entry = ?"
                    " WHERE uid = ? AND version = ? AND entry = '' RETURNING id, job",
                    (entry, uid, version),
                ):
                    self._open += 1
                    self._db.execute(
                        "DELETE FROM lost WHERE uid = ? AND id = ? AND version < ?",
                        (uid, jobs.item_of(str(job), str(item_id)), version),
                    )

    def end(self, versions: Iterable[tuple[str, int]]) -> list[Accepted]:
        """Take out what has ended, by collection UID and version; return what was there."""
        taken: list[Accepted] = []
        with self._lock, self._db:
            for uid, version in versions:
                taken += self._take(uid, version)
        return taken

    def lose(self, row: Accepted) -> bool:
        """Take out one that is gone and note it as lost; False when it ended meanwhile."""
        with self._lock, self._db:
            taken = self._take(row.uid, row.version)
            if taken:
                self._db.execute(
                    "INSERT OR REPLACE INTO lost VALUES (?, ?, ?, ?)",
                    (row.uid, jobs.item_of(row.job, row.id), row.version, int(time.time() * 1000)),
                )
        return bool(taken)

    def rows(self) -> list[Accepted]:
        """Return all that are queued, as far as is known."""
        with self._lock:
            query = f"SELECT {_COLUMNS} FROM accepted WHERE entry <> ''"  # noqa: S608 - our names
            return [Accepted(*row) for row in self._db.execute(query)]

    def queued(self, uid: str, ids: Sequence[str]) -> dict[str, int]:
        """Return the newest version under which images of `ids` are queued, or about to be."""
        query = (
            "SELECT id, max(version) FROM accepted INDEXED BY accepted_by_id WHERE uid = ?"
            " AND kind = 'upload' AND id IN (SELECT value FROM json_each(?)) GROUP BY id"
        )
        with self._lock:
            rows: list[Any] = self._db.execute(query, (uid, json.dumps(list(ids)))).fetchall()
            return dict(rows)

    def alone(self, uid: str, other_uid: str) -> list[Accepted]:
        """Return the images that are queued for a collection, and not for another one under
        the same version."""
        query = (
            f"SELECT {_COLUMNS} FROM accepted AS one WHERE uid = ? AND kind = 'upload'"  # noqa: S608 - our names
            " AND entry <> '' AND NOT EXISTS (SELECT 1 FROM accepted AS other"
            " WHERE other.uid = ? AND other.version = one.version)"
        )
        with self._lock:
            return [Accepted(*row) for row in self._db.execute(query, (uid, other_uid))]

    def holds(self, uid: str, version: int) -> bool:
        """Say whether a mutation of that version is queued, or about to be."""
        query = "SELECT count(*) FROM accepted WHERE uid = ? AND version = ?"
        with self._lock:
            rows: list[Any] = self._db.execute(query, (uid, version)).fetchall()
            return bool(rows[0][0])

    def changes_of(self, uid: str) -> int:
        """Return how many mutations of a collection, but images, have not ended."""
        query = "SELECT count(*) FROM accepted WHERE uid = ? AND kind <> 'upload'"
        with self._lock:
            return self._one(query, uid)

    def open_of(self, job: str) -> int:
        """Return how many of a job were accepted and have not ended."""
        with self._lock:
            return self._one("SELECT count(*) FROM accepted WHERE job = ? AND entry <> ''", job)

    def open_of_tenant(self, tenant: str) -> tuple[int, int | None]:
        """Return how many of a tenant's were accepted and have not ended, and when the
        oldest was submitted, in ms since 1970."""
        names = jobs.names_of(tenant)
        with self._lock:
            rows: list[Any] = self._db.execute(
                "SELECT count(*), min(time_ms) FROM accepted"
                " WHERE job >= ? AND job < ? AND entry <> ''",
                names,
            ).fetchall()
        count, oldest_ms = rows[0]
        return int(count), oldest_ms

    def waits(self, uid: str, item_id: str, tenant: str) -> bool:
        """Say whether a mutation of an item that a tenant submitted has not ended."""
        names = jobs.names_of(tenant)
        with self._lock:
            return bool(
                self._one(
                    "SELECT count(*) FROM accepted WHERE uid = ? AND id = ?"
                    " AND job >= ? AND job < ?",
                    *(uid, item_id, *names),
                )
            )

    def others_wait(self, uid: str, item_id: str, tenant: str) -> bool:
        """Say whether a mutation of an item that somebody else submitted has not ended."""
        with self._lock:
            return bool(
                self._one(
                    "SELECT count(*) FROM accepted WHERE uid = ? AND id = ?"
                    " AND NOT (job >= ? AND job < ?)",
                    *(uid, item_id, *jobs.names_of(tenant)),
                )
            )

    def lost(self) -> int:
        """Return how many items were lost and not sent again since."""
        with self._lock:
            return self._one("SELECT count(*) FROM lost")

    def forget_lost(self, before_ms: int) -> None:
        """Forget what was lost before a time."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM lost WHERE time_ms < ?", (before_ms,))

    def _lane_of(self, uid: str, id: str, owner: str) -> int:
        """Return the lane of the item's last mutation, so that their order holds, else the
        owner's, else the one with the fewest owners."""
        last: list[Any] = self._db.execute(
            "SELECT lane FROM accepted INDEXED BY accepted_by_id"
            " WHERE uid = ? AND id = ? ORDER BY version DESC LIMIT 1",
            (uid, id),
        ).fetchall()
        if last:
            return int(last[0][0])
        if owner in self._owners:
            lanes = self._owners[owner]
            return max(lanes, key=lambda lane: lanes[lane])
        used = Counter(lane for lanes in self._owners.values() for lane in lanes)
        return min(range(LANES), key=lambda lane: (used[lane], lane))

    def _one(self, query: str, *values: str) -> int:
        rows: list[Any] = self._db.execute(query, values).fetchall()
        return int(rows[0][0])

    def _put(self, row: Accepted) -> None:
        self._take(row.uid, row.version)  # tried again, or queued twice: it counts once
        self._db.execute(
            "INSERT INTO accepted VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.uid, row.version, row.id, row.kind, row.job, row.lane, row.entry,
                row.time_ms,
            ),
        )  # fmt: skip
        self._count(row, 1)

    def _take(self, uid: str, version: int) -> list[Accepted]:
        query = f"DELETE FROM accepted WHERE uid = ? AND version = ? RETURNING {_COLUMNS}"  # noqa: S608 - our names
        found = [Accepted(*row) for row in self._db.execute(query, (uid, version))]
        for row in found:
            self._count(row, -1)
            self._open -= 1 if row.entry else 0
        return found

    def _count(self, row: Accepted, change: int) -> None:
        lanes = self._owners.setdefault(row.owner, Counter())
        lanes[row.lane] += change
        if lanes[row.lane] <= 0:
            del lanes[row.lane]
        if not lanes:
            del self._owners[row.owner]
