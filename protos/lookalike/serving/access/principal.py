"""Who makes the call under way.

It is set before a handler is entered and lasts as long as the call: whatever the call
awaits, and the tasks and threads that it starts in its context, see it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime

from lookalike.wire.errors import Exhausted, Unauthenticated
from lookalike.wire.keys import KeyRecord

# Where rounding leaves no time to wait, another message may have taken the room.
_LEAST_WAIT_S = 0.001

_current: ContextVar[Principal | None] = ContextVar("principal", default=None)


class Principal:
    """The holder of an API key, with what is left of its limits.

    There is one for each key, and it outlives changes of the file of keys.
    """

    __slots__ = ("_allowance", "_clock", "_look", "_noted_s", "_under_way", "record", "revoked")

    def __init__(
        self,
        record: KeyRecord,
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """`look` has a change of the file of keys taken, as each new call does."""
        self.record = record
        self.revoked = False
        self._clock = clock
        self._look = look
        self._under_way = 0
        self._allowance = _burst(record)
        self._noted_s = clock()

    def __repr__(self) -> str:
        return f"Principal({self.record.id})"

    def enter(self) -> None:
        """Begin a call.

        Raises:
            Exhausted: the key has as many calls under way as it may, or had as many lately.
        """
        most = self.record.calls_at_once
        if most is not None and self._under_way >= most:
            raise Exhausted(
                f"this API key has {most:,} calls under way, as many as it may", retry_delay_s=0.5
            )
        self.take()
        self._under_way += 1

    def leave(self) -> None:
        """End a call that was begun."""
        self._under_way -= 1

    async def wait(self) -> None:
        """Count a message of a stream, once there is room for it: the stream is slowed down.

        Raises:
            Unauthenticated: the key was revoked or has expired meanwhile.
        """
        while True:
            try:
                return self.take()
            except Exhausted as error:
                await asyncio.sleep(error.retry_delay_s or _LEAST_WAIT_S)

    def hold(self) -> None:
        """Hold that the key is still good.

        Raises:
            Unauthenticated: it was revoked or has expired meanwhile.
        """
        self._look()
        if self.revoked:
            raise Unauthenticated("the API key was revoked")
        if self.record.expire_time is not None and self.record.expired(datetime.now(UTC)):
            raise Unauthenticated("the API key has expired")

    def take(self) -> None:
        """Count a call, or a message of a stream.

        Raises:
            Exhausted: there were too many lately; says when there is room for the next.
            Unauthenticated: the key was revoked or has expired meanwhile.
        """
        self.hold()
        rate = self.record.calls_per_s
        if rate is None:
            return
        now_s = self._clock()
        gained = (now_s - self._noted_s) * rate
        self._allowance = min(_burst(self.record), self._allowance + gained)
        self._noted_s = now_s
        if self._allowance < 1.0:
            raise Exhausted(
                f"this API key may make {rate:g} calls a second; slow down",
                retry_delay_s=(1.0 - self._allowance) / rate,
            )
        self._allowance -= 1.0


def current() -> Principal | None:
    """Return who makes the call under way; None where no keys are asked for."""
    return _current.get()


def set_current(principal: Principal | None) -> None:
    """Say who makes the call that this task serves."""
    _current.set(principal)


def _burst(record: KeyRecord) -> float:
    """Return how many calls may come at once: a second's worth."""
    return max(1.0, record.calls_per_s or 0.0)
