"""Folds the store's write-ahead log into the store, and gives its room back."""

from __future__ import annotations

import apsw

from search_service.store.schema import BUSY_MS


class Wal:
    """The log of the writing connection, on the writer's thread only."""

    def __init__(self, db: apsw.Connection, due_pages: int) -> None:
        self._db = db
        self._due_pages = due_pages
        self._pages = 0
        self._emptied = False
        db.set_wal_hook(self._note_pages)

    def fold_if_due(self) -> None:
        """Make a checkpoint past `due_pages`; it waits for nobody.

        Raises:
            apsw.Error: the disk is full, or fails.
        """
        if self._pages >= self._due_pages:
            self._pages = 0
            self.fold()

    def fold(self) -> None:
        """Make a checkpoint of what no reader still needs.

        Raises:
            apsw.Error: the disk is full, or fails.
        """
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            return  # another connection is at it; the next one will do

    def empty(self) -> bool:
        """Fold all of it and cut the file to nothing; False if a reader is in the way.

        For when nothing is written: a log keeps the size of its largest burst
        until the next write. Does nothing where nothing was written since.

        Raises:
            apsw.Error: the disk is full, or fails.
        """
        if self._emptied:
            return True
        self.fold()  # the long part, which readers do not hinder
        self._db.set_busy_timeout(0)
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return False
        finally:
            self._db.set_busy_timeout(BUSY_MS)
        self._pages = 0
        self._emptied = True
        return True

    def _note_pages(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._pages = pages
        self._emptied = False
        return apsw.SQLITE_OK
