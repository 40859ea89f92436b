"""Whose turn it is: those who have least come first."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager


def shares(count: int, unread: Sequence[int], held: Mapping[int, int]) -> dict[int, int]:
    """Return how many entries to read from which lane, `count` at most.

    `unread` is how many wait in each lane, `held` how many of each are in hand. Each
    goes to the lane that then has least in hand, of equal ones to that with least
    waiting: so a small job is through in the time that its own work takes, times the
    number of jobs, however long the others are.
    """
    given: Counter[int] = Counter()
    for _ in range(count):
        waiting = [lane for lane, left in enumerate(unread) if left > given[lane]]
        if not waiting:
            break
        lane = min(waiting, key=lambda lane: (held.get(lane, 0) + given[lane], unread[lane], lane))
        given[lane] += 1
    return dict(given)


class FairPlaces:
    """A number of places, taken by owners: a free one goes to who has fewest, then to
    who has waited longest."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def place(self, owner: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        await self._take(owner)
        try:
            yield
        finally:
            self._give_back(owner)

    async def _take(self, owner: str) -> None:
        if self._free:
            self._free -= 1
            self._taken[owner] += 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._give_back(owner)  # it was handed over in the same moment
            raise

    def _give_back(self, owner: str) -> None:
        self._taken[owner] -= 1
        if not self._taken[owner]:
            del self._taken[owner]
        while self._waiting:
            # Owners stand in the order in which they came to wait: the first of equals.
            chosen = min(self._waiting, key=lambda each: self._taken[each])
            queue = self._waiting.pop(chosen)
            future = queue.popleft()
            if queue:
                self._waiting[chosen] = queue
            if not future.done():
                self._taken[chosen] += 1
                future.set_result(None)
                return
        self._free += 1
