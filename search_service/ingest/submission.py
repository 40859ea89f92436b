"""What is submitted, and the one stream that submits it in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from lookalike.wire.errors import LookalikeError
from lookalike.wire.queue import Kind


@dataclass(frozen=True, slots=True)
class Submission:
    """A mutation as it came: an upload has an image or the reference of one.

    `metadata` is a serialised `google.protobuf.Struct` that was checked already.
    """

    collection: str
    kind: Kind
    id: str
    job_id: str = ""
    image: bytes = b""
    image_uri: str = ""
    metadata: bytes = b""


@dataclass(frozen=True, slots=True)
class Request:
    """A submission, or what is wrong with it, under the caller's number."""

    request_id: int
    submission: Submission | LookalikeError


@dataclass(frozen=True, slots=True)
class Answer:
    """The version of an accepted mutation, or why it was not accepted."""

    request_id: int
    outcome: int | LookalikeError


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

    def __init__(self, submit: Callable[[Submission], Awaitable[int]], window: Window) -> None:
        self._submit = submit
        self._window = window
        self._answers: asyncio.Queue[tuple[Answer, int] | None] = asyncio.Queue()
        self._latest: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def answers(self, requests: AsyncIterator[Request]) -> AsyncGenerator[Answer, None]:
        """Yield an answer for each request, in the order in which they are ready.

        Room in the window is given back when an answer is taken, so that a caller
        who does not read is not read from either.
        """
        reading = asyncio.create_task(self._read(requests), name="submit-stream")
        try:
            while (item := await self._answers.get()) is not None:
                answer, size_bytes = item
                yield answer
                self._window.give_back(size_bytes)
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[Request]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                async for request in requests:
                    size_bytes = _size_bytes(request)
                    await self._window.take(size_bytes)
                    self._begin(group, request, size_bytes)
        finally:
            self._answers.put_nowait(None)

    def _begin(self, group: asyncio.TaskGroup, request: Request, size_bytes: int) -> None:
        if isinstance(request.submission, LookalikeError):
            self._answers.put_nowait((Answer(request.request_id, request.submission), size_bytes))
            return
        key = (request.submission.collection, request.submission.id)
        earlier = self._latest.get(key)
        task = group.create_task(
            self._one(request.request_id, request.submission, size_bytes, earlier)
        )
        self._latest[key] = task
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
        try:
            outcome = await self._submit(submission)
        except LookalikeError as error:
            outcome = error
        self._answers.put_nowait((Answer(request_id, outcome), size_bytes))

    def _forget(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self._latest.get(key) is task:
            del self._latest[key]


def _size_bytes(request: Request) -> int:
    if isinstance(request.submission, LookalikeError):
        return 0
    return len(request.submission.image) + len(request.submission.metadata)
