"""Gathers images into batches for the one runner of a device.

A batch starts the moment the runner has a free slot, with what is queued:
waiting for more would add latency and, on a busy server, gain nothing. An image
that finds the device idle has all of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Protocol

from embedder_service.lanes import Lane, Ticket
from embedder_service.preprocess import U8
from embedder_service.runner import Batch, Runner
from embedder_service.runtimes.protocol import Runtime
from embedder_service.trials import BatcherOptions, Trials
from lookalike.wire.errors import LookalikeError, Reason, Unavailable
from lookalike.wire.vectors import F32

_log = logging.getLogger(__name__)

# A runtime that cannot be loaded again is retried after this long.
_RELOAD_DELAY_S = 1.0
# A batch that is stuck is noticed within this share of the time that it may take.
_LOOKS = 4


class BatchObserver(Protocol):
    """Hears of what the batcher does (metrics)."""

    def batch_done(self, images: int, seconds: float) -> None:
        """One batch went through the network."""

    def overtaken(self, images: int) -> None:
        """So many images were embedded for callers whose deadlines passed meanwhile."""

    def runner_failed(self) -> None:
        """The runner failed and is loaded again."""

    def healthy_changed(self, healthy: bool) -> None:
        """The runner came up or went down."""


class Batcher:
    """One runner with its queue. Owned by one event loop."""

    def __init__(
        self,
        load: Callable[[], Runtime],
        options: BatcherOptions,
        observer: BatchObserver,
        memory_used: Callable[[], int],
    ) -> None:
        """`memory_used` returns the bytes that the process uses on the device."""
        self._load = load
        self._options = options
        self._observer = observer
        self._memory_used = memory_used
        self._runner: Runner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.batch_images = 1
        self.seconds_per_image = 0.0

    async def start(self) -> None:
        """Load the network, warm it up, and choose the batch size.

        Raises:
            ModelError, RuntimeUnsupported: it cannot be served here.
        """
        self._serve(await asyncio.to_thread(self._load_and_try))

    @property
    def healthy(self) -> bool:
        """Whether a runner is up."""
        return self._runner is not None and not self._closed

    @property
    def runtime_name(self) -> str:
        """What runs the network; empty while nothing does."""
        return self._runner.runtime.name if self._runner is not None else ""

    @property
    def parallel_images(self) -> int:
        """How many images keep every slot busy."""
        slots = self._runner.runtime.slots if self._runner is not None else 1
        return slots * self.batch_images

    def depth(self, lane: Lane) -> int:
        """Return how many images wait for the runner."""
        return self._runner.depth(lane) if self._runner is not None else 0

    async def embed(self, pixels: U8, lane: Lane, deadline_s: float | None) -> F32:
        """Return the unit vector, float32 [D], of uint8 [S, S, 3].

        Raises:
            DeadlineExceeded: `deadline_s` passed before its turn came.
            Unavailable: the runner failed, or the service is stopping.
        """
        if self._closed or self._runner is None:
            raise _stopping() if self._closed else _failed()
        done: asyncio.Future[F32] = asyncio.get_running_loop().create_future()
        self._runner.put(Ticket(pixels, lane, deadline_s, done))
        try:
            return await done
        except asyncio.CancelledError:
            came = done.done() and not done.cancelled() and done.exception() is None
            if came and deadline_s is not None:
                self._observer.overtaken(1)  # the vector came in the turn that ended the wait
            raise

    async def close(self) -> None:
        """Resolve what waits and end the runner."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            _fail(self._runner.close(), _stopping())

    def batch_done(self, batch: Batch, vectors: F32) -> None:
        """Resolve the callers of one batch."""
        if overtaken := sum(_was_overtaken(ticket, batch.started_s) for ticket in batch.tickets):
            self._observer.overtaken(overtaken)
        for ticket, vector in zip(batch.tickets, vectors, strict=True):
            ticket.resolve(vector)
        self._observer.batch_done(len(batch.tickets), time.monotonic() - batch.started_s)

    def batch_failed(self, runner: Runner, batch: Batch, error: Exception) -> None:
        """Tell everybody and load the network again."""
        _log.error("the runner failed", exc_info=error, extra={"images": len(batch.tickets)})
        _fail(batch.tickets, _failed())
        self._replace(runner)

    def _serve(self, runtime: Runtime) -> None:
        self._runner = Runner(runtime, self, lambda: self.batch_images)
        self._spawn(self._watch(self._runner))
        self._observer.healthy_changed(True)

    async def _watch(self, runner: Runner) -> None:
        """Give a runner up whose batch does not end."""
        while runner.longest_s() < self._options.stuck_after_s:
            await asyncio.sleep(self._options.stuck_after_s / _LOOKS)
            if runner is not self._runner:
                return
        _log.error("the runner is stuck")
        self._replace(runner)

    def _replace(self, runner: Runner) -> None:
        """Take a runner that failed out of service, once, and fail all that waits."""
        if self._runner is not runner or self._closed:
            return
        self._runner = None
        self._observer.runner_failed()
        self._observer.healthy_changed(False)
        _fail(runner.close(), _failed())
        self._spawn(self._reload())

    async def _reload(self) -> None:
        """Load until it works, then serve."""
        while True:
            try:
                runtime = await asyncio.to_thread(self._load)
            except Exception:  # noqa: BLE001 - a service that is down keeps trying to come up
                _log.exception("the runner cannot be loaded")
                await asyncio.sleep(_RELOAD_DELAY_S)
            else:
                break
        self._serve(runtime)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _load_and_try(self) -> Runtime:
        before_bytes = self._memory_used()
        runtime = self._load()
        trials = Trials(runtime, self._options, lambda: self._memory_used() - before_bytes)
        self.batch_images, self.seconds_per_image = trials.run()
        _log.info(
            "warmed up",
            extra={
                "batch_images": self.batch_images,
                "images_per_s": round(1 / self.seconds_per_image, 1),
                "memory_mib": (self._memory_used() - before_bytes) >> 20,
            },
        )
        return runtime


def _fail(tickets: Iterable[Ticket[U8, F32]], error: LookalikeError) -> None:
    for ticket in tickets:
        ticket.fail(error)


def _was_overtaken(ticket: Ticket[U8, F32], started_s: float) -> bool:
    """Tell whether a ticket was alive when its batch started, and no longer at its end."""
    return ticket.done.done() and ticket.deadline_s is not None and ticket.deadline_s > started_s


def _failed() -> Unavailable:
    return Unavailable(
        "the network failed on this batch and is being restarted; try again",
        reason=Reason.NOT_READY,
        retry_delay_s=1.0,
    )


def _stopping() -> Unavailable:
    return Unavailable("the service is stopping", reason=Reason.NOT_READY, retry_delay_s=1.0)
