"""A pool of decode processes that survives every one of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from embedder_service.decode.exchange import Task
from embedder_service.decode.facts import ImageFacts
from embedder_service.decode.process import DecodeProcess, PixelLease, ProcessDied, ProcessOptions
from embedder_service.lanes import Lane, Lanes, Ticket
from embedder_service.preprocess import U8, Preprocess
from lookalike.wire.errors import LookalikeError, Reason, Unavailable

_log = logging.getLogger(__name__)

# A process that cannot be started is tried again after this long.
_RESTART_DELAY_S = 0.5

# What another process might not die of: a kill from outside, and memory that earlier
# images have left in pieces.
_PERHAPS_THE_PROCESS = ("killed", "memory")


@dataclass(frozen=True, slots=True)
class Source:
    """An image as it arrived: an encoded file, or raw RGB rows with their size."""

    data: bytes
    width_px: int = 0
    height_px: int = 0

    @property
    def is_raw(self) -> bool:
        """Whether `data` is pixels."""
        return self.width_px > 0


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """One image, and what the network wants of it."""

    source: Source
    preprocess: Preprocess
    # Long side of the thumbnail; 0 for that of the pool's options.
    thumbnail_side_px: int = 0


class DecodeObserver(Protocol):
    """Hears of what the pool does (metrics)."""

    def decoded(self, seconds: float, facts: ImageFacts) -> None:
        """One image was decoded."""

    def decode_failed(self, cause: str) -> None:
        """One image failed: a reason in lower case, or timeout, clock, crash, killed, memory."""

    def process_restarted(self) -> None:
        """A process was replaced."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """`pixels`: uint8 [S, S, 3], sRGB. The facts come a moment later."""

    pixels: U8
    facts: asyncio.Future[ImageFacts]


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How many processes there are and what each may use."""

    processes: int
    max_pixels_in_flight: int
    thumbnail_side_px: int
    process: ProcessOptions


class DecodePool:
    """Decodes images in processes of its own, queries first."""

    def __init__(self, options: PoolOptions, observer: DecodeObserver) -> None:
        self._options = options
        self._observer = observer
        self._lanes: Lanes[DecodeJob, Decoded] = Lanes()
        self._budget = PixelBudget(
            options.max_pixels_in_flight - options.processes * options.process.free_pixels
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: list[DecodeProcess] = []
        self._closed = False

    async def start(self) -> None:
        """Start all processes and wait until they are ready.

        Raises:
            OSError: one cannot be started.
        """
        lease: PixelLease = self._budget.lease
        self._processes = [
            DecodeProcess(self._options.process, lease) for _ in range(self._options.processes)
        ]
        await asyncio.gather(*(process.start() for process in self._processes))
        self._tasks = [asyncio.create_task(self._serve(process)) for process in self._processes]

    @property
    def processes(self) -> int:
        """How many processes the pool has."""
        return self._options.processes

    @property
    def process_ids(self) -> list[int]:
        """The ids of the processes that are running."""
        return [process.pid for process in self._processes if process.pid is not None]

    def depth(self, lane: Lane) -> int:
        """Return how many images wait for a process."""
        return self._lanes.depth(lane)

    async def decode(self, job: DecodeJob, lane: Lane, deadline_s: float | None) -> Decoded:
        """Return the pixels of one image, and its facts to come.

        Raises:
            ImageUnreadable, ImageTooLarge: the image's own fault.
            Exhausted: the machine was too busy to decode it.
            LookalikeError: INTERNAL, the process was ended from outside.
            DeadlineExceeded: `deadline_s` passed before its turn came.
            Unavailable: the pool is closing.
        """
        if self._closed:
            raise _closing()
        done: asyncio.Future[Decoded] = asyncio.get_running_loop().create_future()
        self._lanes.put(Ticket(job, lane, deadline_s, done))
        return await done

    async def close(self) -> None:
        """Resolve what waits and end all processes."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ticket in self._lanes.drain():
            ticket.fail(_closing())
        await asyncio.gather(*(process.stop() for process in self._processes))

    async def _serve(self, process: DecodeProcess) -> None:
        while True:
            await self._lanes.wait()
            for ticket in self._lanes.take(1):
                await self._run(process, ticket)

    async def _run(self, process: DecodeProcess, ticket: Ticket[DecodeJob, Decoded]) -> None:
        """Answer one image; its second try, if there is one, is in a process without a past."""
        if not await self._try(process, ticket, last=False):
            await self._try(process, ticket, last=True)

    async def _try(
        self, process: DecodeProcess, ticket: Ticket[DecodeJob, Decoded], *, last: bool
    ) -> bool:
        """Return whether the image is answered."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        job = ticket.work
        facts: asyncio.Future[ImageFacts] = loop.create_future()
        shown = False
        try:
            pixels = await process.pixels(self._task_for(job), job.source.data)
            ticket.resolve(Decoded(pixels, facts))
            shown = True
            learnt = await process.facts(len(job.source.data))
            facts.set_result(learnt)
        except ProcessDied as error:
            again = error.cause in _PERHAPS_THE_PROCESS and not (last or shown)
            if not again:
                _settle(ticket, facts, error.image_error)
            self._observer.decode_failed(error.cause)
            _log.warning("a decode process ended", extra={"cause": error.cause})
            try:
                await self._restart(process)
            except asyncio.CancelledError:
                ticket.fail(_closing())
                raise
            return not again
        except LookalikeError as error:
            _settle(ticket, facts, error)
            self._observer.decode_failed(error.reason.name.lower())
        except asyncio.CancelledError:
            _settle(ticket, facts, _closing())
            raise
        else:
            self._observer.decoded(loop.time() - started_s, learnt)
        return True

    async def _restart(self, process: DecodeProcess) -> None:
        self._observer.process_restarted()
        while True:
            await process.stop()
            try:
                await process.start()
            except OSError:
                _log.exception("cannot start a decode process")
                await asyncio.sleep(_RESTART_DELAY_S)
            else:
                return

    def _task_for(self, job: DecodeJob) -> Task:
        return Task(
            length=len(job.source.data),
            width_px=job.source.width_px,
            height_px=job.source.height_px,
            preprocess=job.preprocess.message(),
            thumbnail_side_px=job.thumbnail_side_px or self._options.thumbnail_side_px,
            time_ms=self._options.process.timeout_ms,
        )


class PixelBudget:
    """Bounds the pixels of large pictures that are decoded at one time."""

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        self._most = pixels
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def lease(self, pixels: int) -> AsyncIterator[None]:
        """Hold `pixels` of the budget; a picture above all of it goes alone."""
        held = min(pixels, self._most)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= held)
            self._free -= held
        try:
            yield
        finally:
            async with self._changed:
                self._free += held
                self._changed.notify_all()


def _settle(
    ticket: Ticket[DecodeJob, Decoded], facts: asyncio.Future[ImageFacts], error: LookalikeError
) -> None:
    """Fail the pixels, if they are not there yet, and the facts with `error`."""
    ticket.fail(error)
    facts.set_exception(error)
    facts.exception()  # its caller may have left, which is no fault


def _closing() -> Unavailable:
    return Unavailable("the service is stopping", reason=Reason.NOT_READY, retry_delay_s=1.0)
