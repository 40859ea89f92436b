"""Drives a flow over bidirectional streams, and follows the outcomes of a job."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Generic, Protocol, TypeVar

import grpc

from lookalike.v1 import ingest_pb2
from lookalike_client import calls, convert
from lookalike_client.concurrency import tasks
from lookalike_client.flow import Flow
from lookalike_client.types import IngestEvent

Item = TypeVar("Item")
Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")


async def drive(
    flow: Flow[Item, Request, Response, Result],
    items: tasks.Items[Item],
    method: grpc.aio.StreamStreamMultiCallable[Request, Response],
    patience: calls.Patience,
) -> AsyncIterator[Result]:
    """Send `items` through `flow`, over as many streams as it takes.

    Raises:
        LookalikeError: the service refused the stream for good, or nothing went
            through for as long as `patience` lasts.
    """
    source = _Source(items)
    while not (source.ended and flow.idle):
        stream = tasks.Stream(method)
        try:
            async for result in _pump(flow, source, stream, patience):
                yield result
        except calls.StreamBrokenError as broken:
            await tasks.sleep(patience.delay_s(broken.error))
        finally:
            await stream.close()
            flow.broken()


async def watch(
    method: grpc.aio.UnaryStreamMultiCallable[
        ingest_pb2.WatchIngestRequest, ingest_pb2.WatchIngestResponse
    ],
    job_id: str,
    cursor: str,
    patience: calls.Patience,
) -> AsyncIterator[IngestEvent]:
    """Yield the outcomes of a job, resuming after the last one when a stream breaks."""
    while True:
        request = ingest_pb2.WatchIngestRequest(job_id=job_id, cursor=cursor)
        call = method(request, timeout=calls.STREAM_S)
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
            await tasks.sleep(patience.delay_s(broken.error))
        finally:
            call.cancel()


class Resumable(Protocol):
    """A request that says where to go on; an empty token begins."""

    resume_token: str


class Resuming(Protocol):
    """A message that says how far a call is; the last has `done`."""

    @property
    def resume_token(self) -> str:
        """To go on from here."""

    @property
    def done(self) -> bool:
        """Whether that is all."""


AnyRequest = TypeVar("AnyRequest", bound=Resumable)
AnyMessage = TypeVar("AnyMessage", bound=Resuming)


async def follow(
    method: grpc.aio.UnaryStreamMultiCallable[AnyRequest, AnyMessage],
    request: AnyRequest,
    patience: calls.Patience,
) -> AsyncIterator[AnyMessage]:
    """Yield how far a call is, going on after the last message when a stream breaks.

    Raises:
        LookalikeError: the service refused, or nothing went on for as long as `patience`
            lasts.
    """
    while True:
        call = method(request, timeout=calls.STREAM_S)
        try:
            async for message in call:
                patience.progress()
                request.resume_token = message.resume_token
                yield message
                if message.done:
                    return
            raise calls.ended_early()
        except grpc.RpcError as error:
            broken = calls.broken(error)
            if broken.expired:  # our own rotation: nothing is wrong
                patience.progress()
            await tasks.sleep(patience.delay_s(broken.error))
        except calls.StreamBrokenError as broken:
            await tasks.sleep(patience.delay_s(broken.error))
        finally:
            call.cancel()


async def _pump(
    flow: Flow[Item, Request, Response, Result],
    source: _Source[Item],
    stream: tasks.Stream[Request, Response],
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
                # Reads the item's file.
                for result in await tasks.run_blocking(flow.add, item):
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

    def __init__(self, items: tasks.Items[Item]) -> None:
        self._items = tasks.each_of(items)
        self.ended = False

    async def take(self) -> list[Item]:
        """Return the next item; none at the end."""
        async for item in self._items:
            return [item]
        self.ended = True
        return []
