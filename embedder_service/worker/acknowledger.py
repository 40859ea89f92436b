"""Records outcomes in the queue, many in a round trip."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from embedder_service.worker.protocols import Ended, Queue
from lookalike.serving import tasks
from lookalike.wire.errors import Unavailable

_log = logging.getLogger(__name__)

_MAX_BATCH = 256
_FIRST_BACKOFF_S = 0.05
_MAX_BACKOFF_S = 2.0


class Acknowledger:
    """One task that acknowledges. While the queue is away it keeps what it has:
    how much that can be is bounded by how much the worker holds."""

    def __init__(self, queue: Queue, on_ended: Callable[[Ended], None]) -> None:
        self._queue = queue
        self._on_ended = on_ended
        self._waiting: asyncio.Queue[Ended] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="worker-ender")

    def put(self, ended: Ended) -> None:
        """Record an outcome soon."""
        self._waiting.put_nowait(ended)

    async def close(self) -> None:
        """Stop; outcomes that are not recorded yet come again with their entries."""
        await tasks.end(self._task)

    async def _run(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < _MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._record(batch)
            for ended in batch:
                self._on_ended(ended)

    async def _record(self, batch: list[Ended]) -> None:
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                return await self._queue.end(batch)
            except Unavailable:
                _log.warning("cannot acknowledge yet", extra={"count": len(batch)})
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, _MAX_BACKOFF_S)
