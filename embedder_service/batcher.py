"""Gathers images into batches for the one runner of a device.

A batch starts the moment the runner is free, with what is queued: waiting for
more would add latency and, on a busy server, gain nothing.

The contract with a runtime: same length, same order; checked after every batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from embedder_service.lanes import Lane, Lanes, Ticket
from embedder_service.preprocess import U8
from embedder_service.runtimes.protocol import Runtime
from embedder_service.trials import BatcherOptions, Trials
from lookalike.wire.errors import LookalikeError, Reason, Unavailable
from lookalike.wire.vectors import F32, LEAST_NORM

_log = logging.getLogger(__name__)

# A runtime that cannot be loaded again is retried after this long.
_RELOAD_DELAY_S = 1.0
# A new measurement of the time per image counts for this share.
_SMOOTHING = 0.1


class BatchObserver(Protocol):
    """Hears of what the batcher does (metrics)."""

    def batch_done(self, images: int, seconds: float) -> None:
        """One batch went through the network."""

    def runner_failed(self) -> None:
        """The runner failed and is loaded again."""

    def healthy_changed(self, healthy: bool) -> None:
        """The runner came up or went down."""


class BatchFault(Exception):
    """A runtime returned something else than one finite vector an image."""


class Batcher:
    """One runner with its queue. Owned by one event loop."""

    def __init__(
        self,
        load: Callable[[], Runtime],
        options: BatcherOptions,
        observer: BatchObserver,
        memory_used: Callable[[], int],
    ) -> None:
        """`memory_used` returns the bytes that the process holds on the device."""
        self._load = load
        self._memory_used = memory_used
        self._options = options
        self._observer = observer
        self._lanes: Lanes[U8, F32] = Lanes()
        self._executor = _new_executor()
        self._runtime: Runtime | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.batch_images = 1
        self.seconds_per_image = 0.0

    async def start(self) -> None:
        """Load the network, warm it up, and choose the batch size.

        Raises:
            ModelError, RuntimeUnsupported: it cannot be served here.
        """
        loop = asyncio.get_running_loop()
        self._runtime = await loop.run_in_executor(self._executor, self._load_and_warm_up)
        self._task = asyncio.create_task(self._serve())
        self._observer.healthy_changed(True)

    @property
    def healthy(self) -> bool:
        """Whether a runner is up."""
        return self._runtime is not None and not self._closed

    @property
    def runtime_name(self) -> str:
        """What runs the network; empty while nothing does."""
        return self._runtime.name if self._runtime is not None else ""

    def depth(self, lane: Lane) -> int:
        """Return how many images wait for the runner."""
        return self._lanes.depth(lane)

    async def embed(self, pixels: U8, lane: Lane, deadline_s: float | None) -> F32:
        """Return the unit vector, float32 [D], of uint8 [S, S, 3].

        Raises:
            DeadlineExceeded: `deadline_s` passed before its turn came.
            Unavailable: the runner failed, or the service is stopping.
        """
        if not self.healthy:
            raise _stopping() if self._closed else _failed()
        done: asyncio.Future[F32] = asyncio.get_running_loop().create_future()
        self._lanes.put(Ticket(pixels, lane, deadline_s, done))
        return await done

    async def close(self) -> None:
        """Resolve what waits and end the runner."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail_waiting(_stopping())
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _serve(self) -> None:
        while True:
            await self._lanes.wait()
            tickets = self._lanes.take(self.batch_images)
            if not tickets:
                continue
            try:
                await self._run(tickets)
            finally:
                for ticket in tickets:
                    ticket.fail(_stopping())  # only what is still unresolved: cancellation

    async def _run(self, tickets: list[Ticket[U8, F32]]) -> None:
        loop = asyncio.get_running_loop()
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(self._options.stuck_after_s):
                vectors = await loop.run_in_executor(
                    self._executor, self._infer, [ticket.work for ticket in tickets]
                )
        except Exception:  # noqa: BLE001 - whatever the runner died of: everybody is told
            _log.exception("the runner failed", extra={"images": len(tickets)})
            for ticket in tickets:
                ticket.fail(_failed())
            await self._restart()
            return
        for ticket, vector in zip(tickets, vectors, strict=True):
            ticket.resolve(vector)
        self._account(len(tickets), time.monotonic() - started_s)

    def _infer(self, images: list[U8]) -> F32:
        if self._runtime is None:
            raise BatchFault("no runtime")
        return unit_vectors(self._runtime.infer(np.stack(images)), len(images))

    async def _restart(self) -> None:
        """Tell everybody who waits, then load until it works."""
        self._runtime = None
        self._observer.runner_failed()
        self._observer.healthy_changed(False)
        self._fail_waiting(_failed())
        self._executor.shutdown(wait=False, cancel_futures=True)
        loop = asyncio.get_running_loop()
        while True:
            self._executor = _new_executor()
            try:
                self._runtime = await loop.run_in_executor(self._executor, self._load)
            except Exception:  # noqa: BLE001 - a service that is down keeps trying to come up
                _log.exception("the runner cannot be loaded")
                self._executor.shutdown(wait=False)
                await asyncio.sleep(_RELOAD_DELAY_S)
            else:
                self._observer.healthy_changed(True)
                return

    def _fail_waiting(self, error: LookalikeError) -> None:
        for ticket in self._lanes.drain():
            ticket.fail(error)

    def _account(self, images: int, seconds: float) -> None:
        latest = seconds / images
        self.seconds_per_image += _SMOOTHING * (latest - self.seconds_per_image)
        self._observer.batch_done(images, seconds)

    def _load_and_warm_up(self) -> Runtime:
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


def unit_vectors(features: F32, images: int) -> F32:
    """Return float32 [images, D] of unit L2 norm.

    Raises:
        BatchFault: another number of vectors, NaN, infinity, or no direction.
    """
    if features.ndim != 2 or len(features) != images:
        raise BatchFault(f"{images} images gave an array of shape {features.shape}")
    norms = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms < LEAST_NORM).any():
        raise BatchFault("a vector is not finite or has no direction")
    units: F32 = (features / norms).astype(np.float32)
    return units


def _new_executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="runner")


def _failed() -> Unavailable:
    return Unavailable(
        "the network failed on this batch and is being restarted; try again",
        reason=Reason.NOT_READY,
        retry_delay_s=1.0,
    )


def _stopping() -> Unavailable:
    return Unavailable("the service is stopping", reason=Reason.NOT_READY, retry_delay_s=1.0)
