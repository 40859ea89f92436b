"""Drains the queue: what is read, what runs together, what runs alone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, TypeVar

from embedder_service.worker import traced
from embedder_service.worker.acknowledger import Acknowledger
from embedder_service.worker.alone_runner import AloneRunner
from embedder_service.worker.applier import Applier
from embedder_service.worker.in_hand import InHand
from embedder_service.worker.next_step import NextStep, next_step_after
from embedder_service.worker.protocols import Embedder, Entry, Index, Queue
from embedder_service.worker.turnstile import Turnstile
from lookalike.serving import tasks
from lookalike.serving.queue.entries import EntryDamaged, Kind, QueuedMutation
from lookalike.serving.queue.keys import LANES
from lookalike.wire.errors import LookalikeError, Reason, Unavailable

if TYPE_CHECKING:
    from embedder_service.worker.metrics import WorkerMetrics
    from embedder_service.worker.settings import WorkerSettings
    from embedder_service.worker.stats import Stats

_log = logging.getLogger(__name__)

T = TypeVar("T")

# Entries of the dead taken over at once: they run alone, one after the other.
_MAX_CLAIM = 16
_PAUSE_LOOK_S = 0.5


class Worker:
    """Drains the queue until it is asked to stop.

    Entries of a first delivery run together. An entry that was delivered before,
    or under which a service broke, runs alone: when it breaks something again it
    is known which one it was.
    """

    def __init__(
        self,
        queue: Queue,
        embedder: Embedder,
        index: Index,
        settings: WorkerSettings,
        stats: Stats,
        metrics: WorkerMetrics,
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._stats = stats
        self._metrics = metrics
        self._turnstile = Turnstile()
        self._in_hand = InHand(settings.prefetch_items, settings.prefetch_bytes)
        metrics.held.set_function(lambda: self._in_hand.items)
        self._applier = Applier(
            embedder,
            index,
            max_embeds_in_flight=settings.max_embeds_in_flight,
            stats=stats,
            metrics=metrics,
        )
        self._acknowledger = Acknowledger(queue, self._in_hand, stats, metrics)
        self._alone = AloneRunner(
            queue,
            self._in_hand,
            self._turnstile,
            self._applier,
            self._acknowledger,
            metrics,
            settings.max_attempts,
        )
        self._handlers: set[asyncio.Task[None]] = set()
        self._latest: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._stop = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, finish what is under way within the grace, return.

        Raises:
            Exception: a fault of ours ended one of the loops; nothing is lost.
        """
        self._acknowledger.start()
        background = [
            asyncio.create_task(self._beat_loop(), name="worker-beat"),
            asyncio.create_task(self._claim_loop(), name="worker-claim"),
            asyncio.create_task(self._alone.run(), name="worker-alone"),
        ]
        reading = asyncio.create_task(self._read_loop(), name="worker-read")
        stopping = asyncio.create_task(stop.wait(), name="worker-stop")
        try:
            await asyncio.wait(
                [*background, reading, stopping], return_when=asyncio.FIRST_COMPLETED
            )
            self._stop.set()
            for task in (*background, reading):
                if task.done():
                    task.result()  # a loop that ended by itself ended by a fault
            await self._finish(reading)
        finally:
            self._stop.set()
            stopping.cancel()
            await tasks.end(*background, reading, *self._handlers)
            await self._acknowledger.close()
            await self._release()

    async def _read_loop(self) -> None:
        await self._recover()
        while not self._stop.is_set():
            if not await self._can_work():
                continue
            count = await self._in_hand.room()
            for entry in await self._read_new(count):
                self._begin(entry)

    async def _read_new(self, count: int) -> Sequence[Entry]:
        held = self._in_hand.by_lane()
        return await self._patiently(self._queue.read_new(count, held)) or ()

    async def _recover(self) -> None:
        """Take up what an earlier life under this name left behind."""
        for lane in range(LANES):
            await self._recover_lane(lane)

    async def _recover_lane(self, lane: int) -> None:
        after = "0-0"
        while not self._stop.is_set():
            entries = await self._patiently(self._queue.read_own(lane, after, _MAX_CLAIM))
            if entries is None:
                continue
            if not entries:
                return
            after = entries[-1].entry_id
            for entry in entries:
                self._take_over(entry)

    async def _can_work(self) -> bool:
        """Wait for both services, but not longer than a look at `stop` takes."""
        try:
            async with asyncio.timeout(_PAUSE_LOOK_S):
                await self._applier.wait_ready()
                await self._in_hand.room()
        except TimeoutError:
            return False
        return True

    def _begin(self, entry: Entry) -> None:
        if not self._in_hand.add(entry):
            return
        key = _item_of(entry)
        task = asyncio.create_task(self._handle(entry, self._latest.get(key)))
        self._latest[key] = task
        self._handlers.add(task)
        task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        self._handlers.discard(task)
        if self._latest.get(key) is task:
            del self._latest[key]

    def _take_over(self, entry: Entry) -> None:
        if self._in_hand.add(entry):
            self._alone.put(entry)

    async def _handle(self, entry: Entry, earlier: asyncio.Task[None] | None) -> None:
        if entry.mutation is None:
            self._acknowledger.give_up(entry, EntryDamaged(), 1)
            return
        with traced.of(entry):
            await self._work(entry, entry.mutation, earlier)

    async def _work(
        self, entry: Entry, mutation: QueuedMutation, earlier: asyncio.Task[None] | None
    ) -> None:
        if earlier is not None and mutation.kind is not Kind.UPLOAD:
            # The end would be the same, but "not found" be told of an image on its way.
            await asyncio.wait([earlier])
        try:
            async with self._turnstile.together():
                result = await self._applier.apply(mutation, entry.owner)
        except LookalikeError as error:
            if next_step_after(error) is NextStep.GIVE_UP:
                self._acknowledger.give_up(entry, error, 1)
            else:
                self._alone.put(entry)
            return
        except Exception:  # noqa: BLE001 - alone it is counted, and given up in the end
            _log.exception("cannot work on an entry", extra={"entry": entry.entry_id})
            self._alone.put(entry)
            return
        self._acknowledger.finish(entry, result)

    async def _beat_loop(self) -> None:
        while True:
            paused = self._applier.paused_reason
            self._metrics.paused.set(1 if paused else 0)
            state = {**self._stats.state(), "paused_reason": paused}
            await self._patiently(self._queue.beat(self._in_hand.entries(), state))
            await asyncio.sleep(self._settings.heartbeat_s)

    async def _claim_loop(self) -> None:
        while True:
            await self._applier.wait_ready()
            count = min(_MAX_CLAIM, await self._in_hand.room())
            claimed = await self._patiently(self._queue.claim_idle(count))
            if claimed is not None:
                for entry in claimed.entries:
                    self._take_over(entry)
                if claimed.lost_ids:
                    self._metrics.lost.inc(len(claimed.lost_ids))
                    _log.error(
                        "entries were trimmed away before they were finished",
                        extra={"count": len(claimed.lost_ids), "first": claimed.lost_ids[0]},
                    )
                if len(claimed.entries) == count:
                    continue
                await self._patiently(self._queue.drop_dead_consumers())
            await asyncio.sleep(self._settings.claim_idle_s / 3)

    async def _patiently(self, call: Awaitable[T]) -> T | None:
        """Return what `call` returns, or None after a moment if the queue is away."""
        try:
            return await call
        except Unavailable as error:
            if error.reason is not Reason.QUEUE_UNAVAILABLE:
                raise
            _log.warning("the queue is away")
            await asyncio.sleep(_PAUSE_LOOK_S)
            return None

    async def _finish(self, reading: asyncio.Task[None]) -> None:
        """Let what is under way end, as long as there is hope and time."""
        deadline_s = time.monotonic() + self._settings.grace_s
        await asyncio.wait([reading], timeout=self._settings.grace_s)
        while self._in_hand.items and time.monotonic() < deadline_s:
            if not self._applier.ready:
                _log.warning("a service is away: leaving the rest to later")
                return
            await self._in_hand.wait_change(0.1)

    async def _release(self) -> None:
        try:
            await self._queue.release(self._in_hand.entries())
        except Unavailable:
            _log.warning("the queue is away: others take over when the sign of life ends")


def _item_of(entry: Entry) -> tuple[str, str]:
    """Return whose mutation it is: the collection and the item."""
    mutation = entry.mutation
    return (mutation.collection_uid, mutation.id) if mutation is not None else ("", entry.key)
