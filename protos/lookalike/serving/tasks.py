"""Ending background tasks for certain."""

from __future__ import annotations

import asyncio

_AGAIN_S = 0.1


async def end(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel tasks until they have ended; what they raise is dropped.

    Once is not enough: `asyncio.wait_for` before Python 3.12, which redis-py
    writes with, loses a cancellation that comes as its work is done.
    """
    running = {task for task in tasks if task is not None and not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_AGAIN_S)
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)
