"""Drives a flow over a bidirectional stream, with asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Generic, Protocol, TypeAlias, TypeVar

import grpc

from lookalike.v1 import ingest_pb2, ingest_pb2_grpc
from lookalike_client import calls, convert
from lookalike_client.flow import Flow
from lookalike_client.types import IngestEvent

Item = TypeVar("Item")
Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")
Request_contra = TypeVar("Request_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

Items: TypeAlias = AsyncIterable[Item] | Iterable[Item]


class Call(Protocol[Request_contra, Response_co]):
    """A bidirectional call, as far as it is used here."""

    async def write(self, request: Request_contra) -> None:
        """Send a request, waiting for flow control."""

    def __aiter__(self) -> AsyncIterator[Response_co]:
        """Yield answers."""

    def cancel(self) -> bool:
        """Give the call up."""


OpenCall: TypeAlias = Callable[[], Call[Request, Response]]


async def drive(
    flow: Flow[Item, Request, Response, Result],
    items: Items[Item],
    open_call: OpenCall[Request, Response],
    *,
    patience_s: float,
) -> AsyncIterator[Result]:
    """Send `items` through `flow`, over as many streams as it takes.

    Raises:
        LookalikeError: the service refused the stream for good, or nothing went
            through for `patience_s`.
    """
    source = _Source(items)
    patience = calls.Patience(patience_s)
    while not (source.ended and flow.idle):
        stream = _Stream(open_call)
        try:
            async for result in _pump(flow, source, stream, patience):
                yield result
        except calls.StreamBrokenError as broken:
            await asyncio.sleep(patience.delay_s(broken.error))
        finally:
            await stream.close()
            flow.broken()


async def watch(
    stub: ingest_pb2_grpc.IngestServiceAsyncStub, job_id: str, cursor: str, *, patience_s: float
) -> AsyncIterator[IngestEvent]:
    """Yield the outcomes of a job, resuming after the last one when a stream breaks."""
    patience = calls.Patience(patience_s)
    while True:
        request = ingest_pb2.WatchIngestRequest(job_id=job_id, cursor=cursor)
        call = stub.WatchIngest(request, timeout=calls.STREAM_S)
        try:
            async for message in call:
                patience.progress()
                cursor = message.cursor or cursor
                yield convert.ingest_event(message)
            return
        except grpc.RpcError as error:
            broken = calls.broken(error)
            if broken.expired:  # our own rotation: nothing is wrong
                patience.progress()
            await asyncio.sleep(patience.delay_s(broken.error))
        finally:
            call.cancel()


async def _pump(
    flow: Flow[Item, Request, Response, Result],
    source: _Source[Item],
    stream: _Stream[Request, Response],
    patience: calls.Patience,
) -> AsyncIterator[Result]:
    rotate_at_s = time.monotonic() + calls.STREAM_S
    while True:
        now_s = time.monotonic()
        ageing = now_s >= rotate_at_s
        while not ageing and (stream.proven or not flow.on_the_wire):
            request = flow.next_request(now_s)
            if request is None:
                break
            await stream.send(request)
        if (source.ended and flow.idle) or (ageing and not flow.on_the_wire):
            return
        pulled = False
        if not ageing and not source.ended and flow.room():
            pulled = True
            taken = await source.take()
            for item in taken:
                # Reads the item's file: not on the event loop.
                for result in await asyncio.to_thread(flow.add, item):
                    yield result
            if not taken:
                flow.end_of_input()
        wait_s = 0.0 if pulled else flow.wake_in_s(now_s)
        for response in await stream.receive(wait_s):
            results = flow.answered(response, time.monotonic())
            if results:
                patience.progress()
            elif flow.refusal is not None:
                patience.strain(flow.refusal)
            for result in results:
                yield result


class _Source(Generic[Item]):
    """The caller's items, one at a time."""

    def __init__(self, items: Items[Item]) -> None:
        self._items = aiter(items) if isinstance(items, AsyncIterable) else _asynchronous(items)
        self.ended = False

    async def take(self) -> list[Item]:
        """Return the next item; none at the end."""
        async for item in self._items:
            return [item]
        self.ended = True
        return []


async def _asynchronous(items: Iterable[Item]) -> AsyncIterator[Item]:
    for item in items:
        yield item


class _Stream(Generic[Request, Response]):
    """One call, opened with its first request.

    `proven` once something was answered: until then one request is risked, so that
    a service that refuses or is going away is not sent a whole window.
    """

    def __init__(self, open_call: OpenCall[Request, Response]) -> None:
        self.proven = False
        self._open_call = open_call
        # Bounded by the flow's window: one answer for each request on the wire.
        self._inbox: asyncio.Queue[Response | grpc.RpcError | None] = asyncio.Queue()
        self._call: Call[Request, Response] | None = None
        self._reader: asyncio.Task[None] | None = None

    async def send(self, request: Request) -> None:
        """Put a request on the stream.

        Raises:
            StreamBrokenError: the stream has ended.
        """
        if self._call is None:
            self._call = self._open_call()
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
        if event is None:
            raise calls.ended_early()
        if isinstance(event, grpc.RpcError):
            raise calls.broken(event) from event
        self.proven = True
        return [event]

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

    async def _read(self, call: Call[Request, Response]) -> None:
        try:
            async for response in call:
                self._inbox.put_nowait(response)
            self._inbox.put_nowait(None)
        except grpc.RpcError as error:
            self._inbox.put_nowait(error)
