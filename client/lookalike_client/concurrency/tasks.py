"""What the asyncio half of the client does in its own way: waiting, and streams.

`threads` has the same names for the blocking half; all else is written once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Generic, ParamSpec, TypeAlias, TypeVar

import grpc

from lookalike_client import calls

Item = TypeVar("Item")
Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")
P = ParamSpec("P")

Items: TypeAlias = AsyncIterable[Item] | Iterable[Item]


async def each_of(items: Items[Item]) -> AsyncIterator[Item]:
    """Yield the items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def sleep(delay_s: float) -> None:
    """Wait, letting other tasks run."""
    await asyncio.sleep(delay_s)


async def run_blocking(function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Return the result of a call that may block, made on another thread."""
    return await asyncio.to_thread(function, *args, **kwargs)


class Stream(Generic[Request, Response]):
    """One call, opened with its first request.

    `proven` once something was answered: until then one request is risked, so that
    a service that refuses or is going away is not sent a whole window.
    """

    def __init__(self, method: grpc.aio.StreamStreamMultiCallable[Request, Response]) -> None:
        self.proven = False
        self._method = method
        # Bounded by the flow's window: one answer for each request on the wire.
        self._inbox: asyncio.Queue[Response | grpc.RpcError | None] = asyncio.Queue()
        self._call: grpc.aio.StreamStreamCall[Request, Response] | None = None
        self._reader: asyncio.Task[None] | None = None

    async def send(self, request: Request) -> None:
        """Put a request on the stream.

        Raises:
            StreamBrokenError: the stream has ended.
        """
        if self._call is None:
            self._call = self._method(timeout=calls.STREAM_LIMIT_S)
            self._reader = asyncio.create_task(self._read(self._call))
        try:
            await self._call.write(request)
        except grpc.RpcError as error:
            raise calls.broken(error) from error
        except asyncio.InvalidStateError as error:  # ended by the service meanwhile
            raise calls.ended_early() from error

    async def receive(self, wait_s: float | None) -> list[Response]:
        """Return an answer, waiting for at most `wait_s` (None: until there is one).

        Raises:
            StreamBrokenError: the stream ended before its answers.
            LookalikeError: it was refused for good.
        """
        if self._call is None:
            await asyncio.sleep(wait_s or 0.0)
            return []
        try:
            event = await self._next(wait_s)
        except (TimeoutError, asyncio.QueueEmpty):
            return []
        answer = calls.answer_in(event)
        self.proven = True
        return [answer]

    async def close(self) -> None:
        """End the stream; what is unanswered on it is lost."""
        if self._call is not None and self._reader is not None:
            self._call.cancel()
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _next(self, wait_s: float | None) -> Response | grpc.RpcError | None:
        if wait_s == 0.0:
            await asyncio.sleep(0)  # lets the reader run
            return self._inbox.get_nowait()
        async with asyncio.timeout(wait_s):
            return await self._inbox.get()

    async def _read(self, call: grpc.aio.StreamStreamCall[Request, Response]) -> None:
        try:
            async for response in call:
                self._inbox.put_nowait(response)
            self._inbox.put_nowait(None)
        except grpc.RpcError as error:
            self._inbox.put_nowait(error)
