"""Which items were committed since somebody looked, for those who keep up with a shard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

# An id takes some 100 bytes; past this a comparison of all items is no dearer.
_MOST_NOTED = 100_000


class ChangedIds:
    """Notes ids while it is asked to; past a bound it only knows that there were many."""

    def __init__(self, forget: Callable[[Sequence[str]], None]) -> None:
        """`forget` is told every id, noted or not."""
        self._forget = forget
        self._lock = threading.Lock()
        self._ids: set[str] | None = None
        self._many = False

    def note(self, ids: Sequence[str]) -> None:
        """Take ids of items that were committed."""
        self._forget(ids)
        self.again(ids)

    def again(self, ids: Iterable[str]) -> None:
        """Take ids that somebody could not deal with yet."""
        with self._lock:
            if self._ids is None or self._many:
                return
            self._ids.update(ids)
            if len(self._ids) > _MOST_NOTED:
                self._ids, self._many = set(), True

    def begin(self) -> None:
        """Note from now on; `take` first says that there were many."""
        with self._lock:
            self._ids, self._many = set(), True

    def end(self) -> None:
        """Note nothing more."""
        with self._lock:
            self._ids, self._many = None, False

    def take(self) -> set[str] | None:
        """Return what was noted since the last call; None: too many, look at all items."""
        with self._lock:
            if self._many:
                self._ids, self._many = set(), False
                return None
            taken, self._ids = self._ids or set(), None if self._ids is None else set()
            return taken
