"""One caller's stream of submissions: many at a time, those of an item in turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext

from lookalike.serving import tasks
from lookalike.wire.errors import LookalikeError, Reason, Unavailable
from lookalike.wire.traces import spans
from search_service.ingest.submission import Answer, Request, Submission

_log = logging.getLogger(__name__)

# Mutations of a stream that lie in its trace, each five spans or so. The others begin traces
# of their own, which name the stream's: no tool shows a trace of a million spans.
_IN_TRACE = 100


class Window:
    """How much of one stream is under way: past it the stream is not read on."""

    def __init__(self, items: int, size_bytes: int) -> None:
        self._items = items
        self._bytes = size_bytes
        self._used_items = 0
        self._used_bytes = 0
        self._room = asyncio.Event()

    async def take(self, size_bytes: int) -> None:
        """Wait for room; whatever its size, one item always has room alone."""
        while self._used_items and (
            self._used_items >= self._items or self._used_bytes + size_bytes > self._bytes
        ):
            self._room.clear()
            await self._room.wait()
        self._used_items += 1
        self._used_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Return what was taken."""
        self._used_items -= 1
        self._used_bytes -= size_bytes
        self._room.set()


class SubmitStream:
    """Submits one caller's mutations: many at a time, those of an id in turn."""

    def __init__(
        self,
        submit: Callable[[Submission], Awaitable[int]],
        window: Window,
        draining: asyncio.Event,
    ) -> None:
        self._submit = submit
        self._window = window
        self._draining = draining
        self._answers: asyncio.Queue[tuple[Answer, int] | None] = asyncio.Queue()
        self._latest: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._begun = 0

    async def answers(self, requests: AsyncIterator[Request]) -> AsyncGenerator[Answer, None]:
        """Yield an answer for each request, in the order in which they are ready.

        Room in the window is given back when an answer is taken, so that a caller
        who does not read is not read from either. When the service drains, what
        was read is answered and no more is read.

        Raises:
            Unavailable: the service drains; send the rest to its successor.
        """
        reading = asyncio.create_task(self._read(requests), name="submit-stream")
        try:
            while (item := await self._answers.get()) is not None:
                answer, size_bytes = item
                yield answer
                self._window.give_back(size_bytes)
            await reading
        finally:
            await tasks.end(reading, *self._under_way)

    async def _read(self, requests: AsyncIterator[Request]) -> None:
        taking = asyncio.create_task(self._take(requests))
        draining = asyncio.create_task(self._wait_draining())
        try:
            await asyncio.wait((taking, draining), return_when=asyncio.FIRST_COMPLETED)
            cut_short = not taking.done()
            await tasks.end(taking)
            if self._under_way:
                await asyncio.wait(self._under_way)
            if cut_short:
                raise Unavailable(
                    "the service is stopping", reason=Reason.NOT_READY, retry_delay_s=1.0
                )
            taking.result()
        finally:
            await tasks.end(taking, draining)
            self._answers.put_nowait(None)

    async def _take(self, requests: AsyncIterator[Request]) -> None:
        async for request in requests:
            size_bytes = _size_bytes(request)
            await self._window.take(size_bytes)
            self._begin(request, size_bytes)

    async def _wait_draining(self) -> None:
        await self._draining.wait()

    def _begin(self, request: Request, size_bytes: int) -> None:
        if isinstance(request.submission, LookalikeError):
            self._answers.put_nowait((Answer(request.request_id, request.submission), size_bytes))
            return
        key = (request.submission.collection, request.submission.id)
        earlier = self._latest.get(key)
        task = asyncio.create_task(
            self._one(request.request_id, request.submission, size_bytes, earlier)
        )
        self._latest[key] = task
        self._under_way.add(task)
        task.add_done_callback(lambda done: self._forget(key, done))

    async def _one(
        self,
        request_id: int,
        submission: Submission,
        size_bytes: int,
        earlier: asyncio.Task[None] | None,
    ) -> None:
        if earlier is not None:
            # Reading a reference takes time: what came first must be queued first.
            await asyncio.wait([earlier])
        outcome: int | LookalikeError
        self._begun += 1
        try:
            with _own_trace() if self._begun > _IN_TRACE else nullcontext():
                outcome = await self._submit(submission)
        except LookalikeError as error:
            outcome = error
        except Exception:  # noqa: BLE001 - a fault with one item leaves the others alone
            _log.exception("cannot submit")
            outcome = LookalikeError("internal error; the log has it", reason=Reason.INTERNAL)
        self._answers.put_nowait((Answer(request_id, outcome), size_bytes))

    def _forget(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._latest.get(key) is task:
            del self._latest[key]


@contextmanager
def _own_trace() -> Iterator[None]:
    """Begin a trace for what is done in this block, if the stream has one."""
    tracer, stream = spans.installed(), spans.current()
    if tracer is None or stream is None:
        yield
        return
    with spans.ended(tracer.begin("submit", spans.Kind.SERVER, links=[stream.traceparent])):
        yield


def _size_bytes(request: Request) -> int:
    if isinstance(request.submission, LookalikeError):
        return 0
    submission = request.submission
    further = sum(len(picture.image) for picture in submission.further)
    return len(submission.image) + further + len(submission.metadata)
