"""A front door and workers in this process, around a real queue server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from prometheus_client import CollectorRegistry

from embedder_service.worker.metrics import WorkerMetrics
from embedder_service.worker.protocols import Embedder, Index
from embedder_service.worker.redis_queue import RedisQueue
from embedder_service.worker.settings import WorkerSettings
from embedder_service.worker.stats import Stats
from embedder_service.worker.worker import Worker
from lookalike.serving.queue.connection import connect
from lookalike.serving.queue.entries import Kind
from search_service.ingest.front_door import FrontDoor
from search_service.ingest.ledger import Ledger
from search_service.ingest.metrics import IngestMetrics
from search_service.ingest.settings import IngestSettings
from search_service.ingest.submission import Submission
from tests.integration.ingest.model import FakeCatalog, struct


@contextlib.asynccontextmanager
async def front_door(
    url: str,
    catalog: Any = None,
    ledger: str = ":memory:",
    registry: CollectorRegistry | None = None,
    **options: Any,
) -> AsyncIterator[FrontDoor]:
    """Run a front door; its metrics are in `registry`."""
    settings = IngestSettings(redis=url, **options)
    metrics = IngestMetrics(registry or CollectorRegistry())
    door = FrontDoor(settings, catalog or FakeCatalog(), metrics, Ledger(ledger))
    try:
        await door.start()
        yield door
    finally:
        await door.close()


class RunningWorker:
    """A worker in this process; it can be stopped, or die without a word."""

    def __init__(
        self, url: str, embedder: Embedder, index: Index, name: str, **options: Any
    ) -> None:
        defaults: dict[str, Any] = {"claim_idle_s": 0.9, "heartbeat_s": 0.2, "grace_s": 5.0}
        self.settings = WorkerSettings(redis=url, name=name, **{**defaults, **options})
        self.client = connect(self.settings, "lookalike-worker")
        self.queue = RedisQueue(self.client, self.settings)
        self.stats = Stats()
        self.metrics = WorkerMetrics(CollectorRegistry())
        self.worker = Worker(self.queue, embedder, index, self.settings, self.stats, self.metrics)
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.queue.wait_for_server(5.0)
        self._task = asyncio.create_task(self.worker.run(self._stop))

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task
        await self.queue.close()

    async def die(self) -> None:
        """Leave without releasing anything, as after SIGKILL."""

        async def nothing(entries: object) -> None:
            return

        self.queue.release = nothing  # type: ignore[method-assign]
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.queue.close()


@contextlib.asynccontextmanager
async def worker(
    url: str, embedder: Embedder, index: Index, name: str = "w", **options: Any
) -> AsyncIterator[RunningWorker]:
    """Run a worker, and stop it in order."""
    running = RunningWorker(url, embedder, index, name, **options)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


async def drained(door: FrontDoor, timeout_s: float = 20.0) -> None:
    """Wait until the queue is empty."""
    async with asyncio.timeout(timeout_s):
        while (await door.state()).queue.depth:
            await asyncio.sleep(0.03)


def submission(kind: str, item_id: str, value: str, job: str = "") -> Submission:
    """Return a submission; the value is picture and metadata at once."""
    return Submission(
        collection="c",
        kind=Kind(kind),
        id=item_id,
        job_id=job,
        image=value.encode() if kind == "upload" else b"",
        metadata=b"" if kind == "delete" else struct(value),
    )
