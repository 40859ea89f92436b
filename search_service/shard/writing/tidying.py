"""What the writer does for the disk between groups: the log, free pages, the ballast."""

from __future__ import annotations

import time

import apsw

from search_service.shard.options import ShardOptions
from search_service.store.ballast import Ballast
from search_service.store.compaction import Compaction
from search_service.store.schema import PAGE_BYTES
from search_service.store.upkeep import prune
from search_service.store.wal import Wal

# Also without a pause of writes, so that what was deleted leaves the log.
_EVERY_S = 30.0
_MORE_AFTER_S = 0.05


class Tidying:
    """On the writer's thread only, outside of transactions."""

    def __init__(
        self, db: apsw.Connection, wal: Wal, ballast: Ballast, options: ShardOptions, upto: int
    ) -> None:
        """`upto`: the store knows no version that is greater."""
        self._db = db
        self._wal = wal
        self._ballast = ballast
        self._options = options
        self._compaction = Compaction(db)
        self._newest = upto
        self._mark = (time.monotonic(), upto)
        self._pruned_upto = 0
        self._again_at_s = time.monotonic() + _EVERY_S
        self._more = False

    @property
    def idle_s(self) -> float:
        """How long to wait for a write before `tidy`."""
        return _MORE_AFTER_S if self._more else self._options.idle_checkpoint_s

    @property
    def overdue(self) -> bool:
        """Whether `tidy` has not been called for long, since there were always writes."""
        return time.monotonic() >= self._again_at_s

    def note(self, *, newest: int, erased: int, left: int) -> None:
        """Take note of a group: its greatest version, vectors erased, items left."""
        self._newest = max(self._newest, newest)
        self._compaction.note_erased(erased, left)

    def tidy(self) -> None:
        """Do some of what there is to do.

        Raises:
            apsw.Error: the disk is full, or fails.
        """
        self._again_at_s = time.monotonic() + _EVERY_S
        self._forget_deletions()
        self._more = self._compaction.step()
        if not self._more:
            self._wal.empty()
            self._ballast.fit(int(self._db.pragma("page_count")) * PAGE_BYTES)

    def _forget_deletions(self) -> None:
        """Forget deletions that nothing older can follow, where there is no queue."""
        wait_s = self._options.forget_deletions_s
        now_s = time.monotonic()
        if not wait_s or now_s < self._mark[0] + wait_s:
            return
        upto = self._mark[1]
        self._mark = (now_s, self._newest)
        if upto <= self._pruned_upto:
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._compaction.note_erased(prune(self._db, upto + 1), 0)
        self._db.execute("COMMIT")
        self._pruned_upto = upto
