"""Gives the disk back what deletions have freed in a store's file.

Small stores are written anew, which also fills their pages: of 40,000 rows of 256 bytes
with 95 % deleted at random, what is left takes 1.9 times as much as it must where only
free pages are given back. That takes 5 ms a megabyte, while writes wait and reads do not;
so a large store gives back free pages only, a few at a time.
"""

from __future__ import annotations

import apsw

from search_service.store.schema import PAGE_BYTES

# Written anew up to here: 2.5 s.
_MOST_BYTES_ANEW = 512 << 20
# Deletions after which it is, as a share of what is left; and as a number at least.
_DUE_SHARE, _DUE_LEAST = 0.1, 256
# Free pages that stay: the next writes will use them.
_SPARE_SHARE, _SPARE_LEAST = 0.05, 8
# 4 MiB: about 20 ms.
_PAGES_A_STEP = 256
_INCREMENTAL = 2


class Compaction:
    """On the writer's thread only, outside of transactions."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        # What was deleted before the service last ended has left free pages, or nothing.
        self._due = self._free() > self._spare()
        self._erased = 0

    def note_erased(self, count: int, left: int) -> None:
        """Take note of deleted vectors, and of how many items are left."""
        self._erased += count
        if self._erased > max(_DUE_LEAST, _DUE_SHARE * left):
            self._due = True

    def step(self) -> bool:
        """Give something back; True: there is more.

        Raises:
            apsw.Error: the disk is full, or fails.
        """
        if self._due and self._pages() * PAGE_BYTES <= _MOST_BYTES_ANEW:
            self._db.execute("VACUUM")
            self._due, self._erased = False, 0
            return False
        if self._free() <= self._spare() or self._db.pragma("auto_vacuum") != _INCREMENTAL:
            return False
        self._db.execute(f"PRAGMA incremental_vacuum({_PAGES_A_STEP})").fetchall()
        return True

    def _spare(self) -> float:
        return max(_SPARE_LEAST, _SPARE_SHARE * self._pages())

    def _free(self) -> int:
        return int(self._db.pragma("freelist_count"))

    def _pages(self) -> int:
        return int(self._db.pragma("page_count"))
