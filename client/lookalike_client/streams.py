"""Drives a flow over a bidirectional stream, blocking.

The caller's thread pulls the items, sends and yields results; a second thread
only waits for answers.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
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
Response_co = TypeVar("Response_co", covariant=True)


class Answers(Protocol[Response_co]):
    """The answering side of a call."""

    def __iter__(self) -> Iterator[Response_co]:
        """Yield answers; raises grpc.RpcError."""

    def cancel(self) -> bool:
        """Give the call up."""


OpenCall: TypeAlias = Callable[[Iterator[Request]], Answers[Response]]


def drive(
    flow: Flow[Item, Request, Response, Result],
    items: Iterable[Item],
    open_call: OpenCall[Request, Response],
    *,
    patience_s: float,
) -> Iterator[Result]:
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
            yield from _pump(flow, source, stream, patience)
        except calls.StreamBrokenError as broken:
            time.sleep(patience.delay_s(broken.error))
        finally:
            stream.close()
            flow.broken()


def watch(
    stub: ingest_pb2_grpc.IngestServiceStub, job_id: str, cursor: str, *, patience_s: float
) -> Iterator[IngestEvent]:
    """Yield the outcomes of a job, resuming after the last one when a stream breaks."""
    patience = calls.Patience(patience_s)
    while True:
        request = ingest_pb2.WatchIngestRequest(job_id=job_id, cursor=cursor)
        call = stub.WatchIngest(request, timeout=calls.STREAM_S)
        try:
            for message in call:
                patience.progress()
                cursor = message.cursor or cursor
                yield convert.ingest_event(message)
            return
        except grpc.RpcError as error:
            broken = calls.broken(error)
            if broken.expired:  # our own rotation: nothing is wrong
                patience.progress()
            time.sleep(patience.delay_s(broken.error))
        finally:
            call.cancel()


def _pump(
    flow: Flow[Item, Request, Response, Result],
    source: _Source[Item],
    stream: _Stream[Request, Response],
    patience: calls.Patience,
) -> Iterator[Result]:
    rotate_at_s = time.monotonic() + calls.STREAM_S
    while True:
        now_s = time.monotonic()
        ageing = now_s >= rotate_at_s
        while not ageing and (stream.proven or not flow.on_the_wire):
            request = flow.next_request(now_s)
            if request is None:
                break
            stream.send(request)
        if (source.ended and flow.idle) or (ageing and not flow.on_the_wire):
            return
        pulled = False
        if not ageing and not source.ended and flow.room():
            pulled = True
            taken = source.take()
            for item in taken:
                yield from flow.add(item)
            if not taken:
                flow.end_of_input()
        wait_s = 0.0 if pulled else flow.wake_in_s(now_s)
        for response in stream.receive(wait_s):
            results = flow.answered(response, time.monotonic())
            if results:
                patience.progress()
            elif flow.refusal is not None:
                patience.strain(flow.refusal)
            yield from results


class _Source(Generic[Item]):
    """The caller's items, one at a time."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self.ended = False

    def take(self) -> list[Item]:
        """Return the next item; none at the end."""
        for item in self._items:
            return [item]
        self.ended = True
        return []


class _Stream(Generic[Request, Response]):
    """One call, opened with its first request.

    `proven` once something was answered: until then one request is risked, so that
    a service that refuses or is going away is not sent a whole window.
    """

    def __init__(self, open_call: OpenCall[Request, Response]) -> None:
        self.proven = False
        self._open_call = open_call
        # Bounded by the flow's window: only what it hands out is put here.
        self._outbox: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[Response | grpc.RpcError | None] = queue.SimpleQueue()
        self._call: Answers[Response] | None = None
        self._reader: threading.Thread | None = None

    def send(self, request: Request) -> None:
        """Put a request on the stream."""
        self._outbox.put(request)
        if self._call is None:
            self._call = self._open_call(iter(self._outbox.get, None))
            self._reader = threading.Thread(
                target=self._read, args=(self._call,), name="lookalike-answers", daemon=True
            )
            self._reader.start()

    def receive(self, wait_s: float | None) -> list[Response]:
        """Return an answer, waiting for at most `wait_s` (None: until there is one).

        Raises:
            StreamBrokenError: the stream ended before its answers.
            LookalikeError: it was refused for good.
        """
        if self._call is None:
            time.sleep(wait_s or 0.0)
            return []
        try:
            event = self._inbox.get(block=wait_s != 0.0, timeout=wait_s or None)
        except queue.Empty:
            return []
        if event is None:
            raise calls.ended_early()
        if isinstance(event, grpc.RpcError):
            raise calls.broken(event) from event
        self.proven = True
        return [event]

    def close(self) -> None:
        """End the stream; what is unanswered on it is lost."""
        self._outbox.put(None)
        if self._call is not None and self._reader is not None:
            self._call.cancel()
            self._reader.join()

    def _read(self, call: Answers[Response]) -> None:
        try:
            for response in call:
                self._inbox.put(response)
            self._inbox.put(None)
        except grpc.RpcError as error:
            self._inbox.put(error)
