"""Items that were read lately, in memory, never older than what the store holds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from search_service.domain.items import StoredItem

# What an item takes besides id and text: the object, two numbers, its place in the
# dictionary (sys.getsizeof, Python 3.11).
_AROUND_BYTES = 400
# Groups of writes that are remembered: a read that lasts through more is not kept.
_GROUPS = 64


class ItemCache:
    """Items by id, the least recently used of which make room; any thread may call.

    A read begins with `begin` and ends with `keep`. A write calls `forget` once it is
    committed, before anyone is told: what was read before it, or beside it, is not kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._items: dict[str, StoredItem] = {}  # least recently used first
        self._bytes = 0
        self._writes = 0
        self._written: deque[frozenset[str]] = deque(maxlen=_GROUPS)

    @property
    def nbytes(self) -> int:
        """What the items take, about."""
        return self._bytes

    def find(self, ids: Iterable[str]) -> tuple[dict[str, StoredItem], list[str]]:
        """Return the items that are here, and the ids of those that are not."""
        found: dict[str, StoredItem] = {}
        missing: list[str] = []
        with self._lock:
            items = self._items
            for id in ids:
                item = items.pop(id, None)
                if item is None:
                    missing.append(id)
                else:
                    items[id] = found[id] = item
        return found, missing

    def begin(self) -> int:
        """Return what `keep` must be given; call it before the store is read."""
        return self._writes

    def keep(self, read: Iterable[StoredItem], begun: int) -> None:
        """Take in items that were read since `begin`, but those written meanwhile."""
        with self._lock:
            meanwhile = self._writes - begun
            if meanwhile > len(self._written):
                return
            newest = range(len(self._written) - meanwhile, len(self._written))
            changed = frozenset[str]().union(*(self._written[group] for group in newest))
            for item in read:
                if item.id not in changed:
                    self._drop(item.id)
                    self._items[item.id] = item
                    self._bytes += _nbytes(item)
            while self._bytes > self._limit_bytes:
                self._drop(next(iter(self._items)))

    def forget(self, ids: Sequence[str]) -> None:
        """Drop items that were changed or deleted."""
        with self._lock:
            self._writes += 1
            self._written.append(frozenset(ids))
            for id in ids:
                self._drop(id)

    def _drop(self, id: str) -> None:
        item = self._items.pop(id, None)
        if item is not None:
            self._bytes -= _nbytes(item)


def _nbytes(item: StoredItem) -> int:
    return len(item.id) + len(item.metadata_json or b"") + _AROUND_BYTES
