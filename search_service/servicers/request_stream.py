"""Requests of one stream that are answered beside each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

import grpc

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

# Requests of one stream under way at once: enough for the index to gather them,
# and a bound on memory (a request of a search holds at most 256 vectors).
_MOST_UNDER_WAY = 64


class RequestStream(Generic[_Request, _Response]):
    """One stream: a bounded number of requests under way."""

    def __init__(self, answer: Callable[[_Request], Awaitable[_Response]]) -> None:
        """`answer` makes an answer of what goes wrong with one request."""
        self._answer = answer
        self._places = asyncio.Semaphore(_MOST_UNDER_WAY)
        # Never more than the places, the end and one failure: puts do not wait.
        self._ready: asyncio.Queue[_Response | BaseException | None] = asyncio.Queue()

    async def answers(self, requests: AsyncIterator[_Request]) -> AsyncIterator[_Response]:
        """Yield answers as they are ready."""
        reader = asyncio.create_task(self._read(requests))
        try:
            while (answer := await self._ready.get()) is not None:
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
                self._places.release()
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, requests: AsyncIterator[_Request]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                async for request in requests:
                    # A place is held until the answer was taken: a client that
                    # does not read cannot fill the memory.
                    await self._places.acquire()
                    group.create_task(self._one(request))
        except* Exception as errors:  # noqa: BLE001 - passed on to the stream, which raises it
            self._ready.put_nowait(errors.exceptions[0])
        else:
            self._ready.put_nowait(None)

    async def _one(self, request: _Request) -> None:
        self._ready.put_nowait(await self._answer(request))


def deadline_of(context: grpc.aio.ServicerContext[Any, Any]) -> float | None:
    """Return the call's deadline on `time.monotonic()`; None where it has none."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s
