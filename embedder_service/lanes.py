"""The two lanes: a bounded queue that serves queries first and starves neither lane."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from lookalike.wire.errors import DeadlineExceeded, LookalikeError

T = TypeVar("T")
R = TypeVar("R")

# While both lanes wait, one image in four is a bulk one: queries keep three
# quarters of the machine and bulk work always goes on.
BULK_SHARE = 4


class Lane(Enum):
    """Which queue an image waits in."""

    QUERY = "query"
    BULK = "bulk"


@dataclass(slots=True, eq=False)
class Ticket(Generic[T, R]):
    """One waiting piece of work; `deadline_s` is on `time.monotonic`'s clock."""

    work: T
    lane: Lane
    deadline_s: float | None
    done: asyncio.Future[R]

    def fail(self, error: LookalikeError) -> None:
        """Resolve with `error`, unless the caller has left."""
        if not self.done.done():
            self.done.set_exception(error)

    def resolve(self, result: R) -> None:
        """Resolve with `result`, unless the caller has left."""
        if not self.done.done():
            self.done.set_result(result)


def expire(ticket: Ticket[T, R]) -> None:
    """Tell the caller of `ticket` that its deadline has passed."""
    ticket.fail(DeadlineExceeded())


class Lanes(Generic[T, R]):
    """Tickets by lane, in order of arrival. Owned by one event loop, or guarded by a lock.

    Whoever fills it bounds it: admission counts an image from its arrival to its
    answer, so no second bound stands here.
    """

    def __init__(self, expired: Callable[[Ticket[T, R]], None] = expire) -> None:
        """`expired` is given the tickets that are dropped because of their deadline."""
        self._expired = expired
        self._waiting: dict[Lane, deque[Ticket[T, R]]] = {lane: deque() for lane in Lane}
        self._arrived = asyncio.Event()
        self._since_bulk = 0

    def put(self, ticket: Ticket[T, R]) -> None:
        """Append `ticket` to its lane."""
        self._waiting[ticket.lane].append(ticket)
        self._arrived.set()

    def depth(self, lane: Lane) -> int:
        """Return how many tickets wait in `lane`, those of callers gone included."""
        return len(self._waiting[lane])

    async def wait(self) -> None:
        """Return when there may be a ticket."""
        if not any(self._waiting.values()):
            self._arrived.clear()
            await self._arrived.wait()

    def take(self, most: int, lanes: tuple[Lane, ...] = tuple(Lane)) -> list[Ticket[T, R]]:
        """Return up to `most` live tickets, queries first, with bulk's share.

        Tickets whose caller has left or whose deadline has passed are dropped.
        """
        taken: list[Ticket[T, R]] = []
        while len(taken) < most:
            ticket = self._next(lanes)
            if ticket is None:
                break
            taken.append(ticket)
        return taken

    def drain(self) -> Iterator[Ticket[T, R]]:
        """Remove and yield every waiting ticket."""
        for queue in self._waiting.values():
            while queue:
                yield queue.popleft()

    def _next(self, lanes: tuple[Lane, ...]) -> Ticket[T, R] | None:
        queries = self._front(Lane.QUERY) if Lane.QUERY in lanes else None
        bulk = self._front(Lane.BULK) if Lane.BULK in lanes else None
        if bulk is not None and (queries is None or self._since_bulk >= BULK_SHARE - 1):
            self._since_bulk = 0
            return self._waiting[Lane.BULK].popleft()
        if queries is not None:
            self._since_bulk = self._since_bulk + 1 if bulk is not None else 0
            return self._waiting[Lane.QUERY].popleft()
        return None

    def _front(self, lane: Lane) -> Ticket[T, R] | None:
        """Return the first live ticket of `lane`, dropping dead ones before it."""
        queue = self._waiting[lane]
        now_s = time.monotonic()
        while queue:
            ticket = queue[0]
            if not ticket.done.done():
                if ticket.deadline_s is None or ticket.deadline_s > now_s:
                    return ticket
                self._expired(ticket)
            queue.popleft()
        return None
