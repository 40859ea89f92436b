"""An event loop on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from lookalike.wire.errors import Reason, Unavailable

T = TypeVar("T")


class LoopThread:
    """An event loop on a thread of its own, for callers on any thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; to cancel the future cancels it.

        Raises (as the future's exception):
            Unavailable: the loop is closed.
        """
        with self._closing:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        coroutine.close()
        refused: Future[T] = Future()
        refused.set_exception(
            Unavailable("the search service is stopping", reason=Reason.NOT_READY)
        )
        return refused

    def every(self, period_s: float, function: Callable[[], None]) -> None:
        """Call a function again and again, which must be short."""

        def tick() -> None:
            try:
                function()
            finally:
                self._loop.call_later(period_s, tick)

        self._loop.call_soon_threadsafe(tick)

    def close(self) -> None:
        """Cancel what runs and end."""
        with self._closing:
            self._closed = True
        ended = asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop)
        ended.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
