"""Damage of the truth: how it is told from other failures, and remembered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import apsw

from lookalike.wire.errors import StoreDamaged

_log = logging.getLogger(__name__)

_DAMAGE = frozenset({apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_CORRUPTFS})


class RowDamaged(Exception):
    """A row came whole by SQLite's rules, and is not what was written."""


def is_damage(error: BaseException) -> bool:
    """Say whether what was read is not what was written, so that trying again is of no use."""
    if isinstance(error, RowDamaged | apsw.CorruptError | apsw.NotADBError):
        return True
    return getattr(error, "extendedresult", 0) in _DAMAGE


def damaged(where: str = "a part of the collection's store") -> StoreDamaged:
    """Return what a caller is told who asks for something damaged."""
    return StoreDamaged(
        f"{where} is damaged on the disk: export what is intact, restore a snapshot or index again"
    )


def unwritable() -> StoreDamaged:
    """Return what a caller is told who would write to a damaged store."""
    return StoreDamaged(
        "the collection takes no writes, since its store is damaged on the disk: export what"
        " is intact, restore a snapshot or index again"
    )


class StoreHealth:
    """What is known of a store's damage; any thread may call.

    A store that is known to be damaged takes no more writes: SQLite would spread
    what it read wrongly.
    """

    def __init__(self, collection_uid: str) -> None:
        self._collection_uid = collection_uid
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._damage = ""
        # Set where something failed that damage may be behind: it is looked for at once.
        self.suspected = threading.Event()

    @property
    def damage(self) -> str:
        """What was found first, in a sentence; empty where nothing was."""
        return self._damage

    def note(self, error: BaseException, what: str) -> None:
        """Remember that reading `what` met damage; the log tells of each `what` once."""
        with self._lock:
            if what in self._told:
                return
            self._told.add(what)
            self._damage = self._damage or (
                f"the store is damaged on the disk ({what}): what is intact is served, nothing is"
                " written; export it, restore a snapshot or index again"
            )
        _log.error(
            "the store is damaged: %s",
            error,
            extra={"uid": self._collection_uid, "what": what},
        )

    def reader_of(self, what: str) -> Callable[[BaseException], None]:
        """Return a call that notes damage of `what`."""
        return lambda error: self.note(error, what)
