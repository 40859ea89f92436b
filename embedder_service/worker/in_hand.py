"""What the worker has taken from the queue and not finished."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque

from embedder_service.worker.protocols import Entry

# A read is counted in entries, not in bytes. This many entries of the largest
# size seen lately is what one read may pass the bound by.
MAX_READ_ITEMS = 16
_RECENT = 64


class InHand:
    """Entries in hand, bounded by number and bytes."""

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._entries: dict[str, Entry] = {}
        self._bytes = 0
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self._changed = asyncio.Event()

    @property
    def items(self) -> int:
        """How many."""
        return len(self._entries)

    def entries(self) -> list[Entry]:
        """All of them."""
        return list(self._entries.values())

    def by_lane(self) -> Counter[int]:
        """How many of each lane."""
        return Counter(entry.lane for entry in self._entries.values())

    def add(self, entry: Entry) -> bool:
        """Take an entry; False if it is in hand already."""
        if entry.key in self._entries:
            return False
        self._entries[entry.key] = entry
        self._bytes += entry.counted_bytes
        self._recent.append(entry.counted_bytes)
        return True

    def remove(self, entry: Entry) -> None:
        """Let go of an entry, if it is in hand."""
        held = self._entries.pop(entry.key, None)
        if held is not None:
            self._bytes -= held.counted_bytes
            self._changed.set()

    async def room(self) -> int:
        """Wait for room and return how many entries may be read next: at least 1."""
        while not self._has_room():
            self._changed.clear()
            await self._changed.wait()
        largest = max(self._recent, default=0)
        by_bytes = (self._max_bytes - self._bytes) // largest if largest else 1
        return max(1, min(MAX_READ_ITEMS, self._max_items - self.items, by_bytes))

    async def wait_change(self, timeout_s: float) -> None:
        """Wait until something was removed, or for `timeout_s`."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()

    def _has_room(self) -> bool:
        return not self._entries or (self.items < self._max_items and self._bytes < self._max_bytes)
