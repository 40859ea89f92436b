"""Ends entries: records their outcomes, many in a round trip, and drops them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from embedder_service.worker import traced
from embedder_service.worker.protocols import Ended, Entry, Queue
from lookalike.serving import tasks
from lookalike.v1 import search_pb2
from lookalike.wire.errors import LookalikeError, Precondition, Reason, Unavailable
from lookalike.wire.status import to_item_error

if TYPE_CHECKING:
    from embedder_service.worker.in_hand import InHand
    from embedder_service.worker.metrics import WorkerMetrics
    from embedder_service.worker.stats import Stats

_log = logging.getLogger(__name__)

_MAX_BATCH = 256
_FIRST_BACKOFF_S = 0.05
_MAX_BACKOFF_S = 2.0


class Acknowledger:
    """One task that acknowledges. While the queue is away it keeps what it has:
    how much that can be is bounded by what the worker has in hand."""

    def __init__(self, queue: Queue, in_hand: InHand, stats: Stats, metrics: WorkerMetrics) -> None:
        self._queue = queue
        self._in_hand = in_hand
        self._stats = stats
        self._metrics = metrics
        self._waiting: asyncio.Queue[Ended] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="worker-acknowledger")

    def finish(self, entry: Entry, result: search_pb2.MutationResult) -> None:
        """Record soon that `entry` was applied, or refused as a duplicate: then it is listed."""
        refused = _refusal(result)
        attempts = 0 if refused is None else 1
        self._waiting.put_nowait(Ended(entry, result, refused, attempts))

    def give_up(self, entry: Entry, error: LookalikeError, attempts: int) -> None:
        """Record soon that `entry` failed for good, after so many attempts."""
        mutation = entry.mutation
        known = traced.about(mutation) if mutation else {"entry": entry.entry_id}
        said = {**known, "reason": error.reason.name, "attempts": attempts}
        _log.info("gave a mutation up", extra=said)
        result = search_pb2.MutationResult(
            id=mutation.id if mutation else "",
            version=mutation.version if mutation else 0,
            error=to_item_error(error),
        )
        self._waiting.put_nowait(Ended(entry, result, error, attempts))

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
                self._in_hand.remove(ended.entry)
                self._count(ended)

    async def _record(self, batch: list[Ended]) -> None:
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                return await self._queue.end(batch)
            except Unavailable:
                _log.warning("cannot acknowledge yet", extra={"count": len(batch)})
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, _MAX_BACKOFF_S)

    def _count(self, ended: Ended) -> None:
        if ended.failure is not None and ended.result.HasField("error"):
            self._stats.count_failed()
            self._metrics.failed.labels(ended.failure.reason.name).inc()
            return
        self._stats.count_finished()
        kind = ended.entry.mutation.kind.value if ended.entry.mutation else "unknown"
        status = search_pb2.MutationStatus.Name(ended.result.status)
        self._metrics.finished.labels(kind, status.removeprefix("MUTATION_STATUS_")).inc()


def _refusal(result: search_pb2.MutationResult) -> LookalikeError | None:
    """Return the listing's error for an image that the duplicate policy kept out."""
    if result.status != search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE:
        return None
    near = result.near_duplicate
    return Precondition(
        f'looks like "{near.id}" (cosine {near.score:.4f}) and was not stored; '
        "try it again with another duplicate policy to store it all the same",
        reason=Reason.DUPLICATE_REJECTED,
    )
