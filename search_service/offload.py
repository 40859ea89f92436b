"""Blocking work off the event loop, bounded."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from lookalike.wire.errors import Exhausted

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """A thread pool that refuses work past a bound instead of queueing it."""

    def __init__(
        self,
        name: str,
        *,
        threads: int,
        max_waiting: int,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Make the pool; each of its threads calls `prepare` before its first work."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=prepare)
        self._places = threading.Semaphore(threads + max_waiting)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in a thread, in the caller's context, and return what it returns.

        A cancelled caller drops work that has not begun; begun work runs on and
        keeps its place until it ends.

        Raises:
            Exhausted: threads and places are taken.
        """
        if not self._places.acquire(blocking=False):
            raise Exhausted("too many calls wait for the disk; try again later", retry_delay_s=0.2)
        future = self._pool.submit(
            partial(contextvars.copy_context().run, function, *args, **kwargs)
        )
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop what waits and wait for what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)
