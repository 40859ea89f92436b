"""Brings the results of other threads to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class Handover:
    """Wakes the loop once for all results that are there.

    A thread that resolves many futures at a time would wake it for each, with a
    system call that lets go of the interpreter and waits to have it back.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[tuple[Future[Any], asyncio.Future[Any]]] = deque()
        self._woken = False

    def wait(self, future: Future[_Result]) -> asyncio.Future[_Result]:
        """Return what `future` becomes, for the loop; to cancel it cancels `future`."""
        waiting: asyncio.Future[_Result] = self._loop.create_future()
        waiting.add_done_callback(lambda ended: future.cancel() if ended.cancelled() else None)
        future.add_done_callback(lambda done: self._arrived(done, waiting))
        return waiting

    def _arrived(self, done: Future[_Result], waiting: asyncio.Future[_Result]) -> None:
        # The append comes before the look at the flag, which is cleared before results
        # are taken: none is left behind.
        self._ready.append((done, waiting))
        if self._woken:
            return
        self._woken = True
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it who waited
            self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        self._woken = False
        while self._ready:
            done, waiting = self._ready.popleft()
            if waiting.done():
                continue
            if done.cancelled():
                waiting.cancel()
            elif (error := done.exception()) is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result(done.result())
