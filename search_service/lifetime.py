"""What a process does as it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable


async def each(*calls: Callable[[], None]) -> None:
    """Make calls beside each other; raise the first failure once all have ended."""
    done = await asyncio.gather(*map(asyncio.to_thread, calls), return_exceptions=True)
    for failure in done:
        if isinstance(failure, BaseException):
            raise failure


def spare_collector() -> None:
    """Keep what is there by now out of later garbage collections.

    It stays for good, and going through it again would stop all searches meanwhile.
    """
    gc.collect()
    gc.freeze()


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
