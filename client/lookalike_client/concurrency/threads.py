"""What the blocking half of the client does in its own way: waiting, and streams.

`tasks` has the same names for the asyncio half; all else is written once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, ParamSpec, Protocol, TypeAlias, TypeVar

import grpc

from lookalike_client import calls

Item = TypeVar("Item")
Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")
Response_co = TypeVar("Response_co", covariant=True)
P = ParamSpec("P")

Items: TypeAlias = Iterable[Item]


def each_of(items: Items[Item]) -> Iterator[Item]:
    """Yield the items."""
    yield from items


def sleep(delay_s: float) -> None:
    """Wait."""
    time.sleep(delay_s)


def run_blocking(function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Return the result of a call, made on the caller's thread."""
    return function(*args, **kwargs)


class Answers(Protocol[Response_co]):
    """The answering side of a call."""

    def __iter__(self) -> Iterator[Response_co]:
        """Yield answers; raises grpc.RpcError."""

    def cancel(self) -> bool:
        """Cancel the call."""


class Stream(Generic[Request, Response]):
    """One call, as `tasks.Stream`: a second thread only waits for its answers."""

    def __init__(self, method: grpc.StreamStreamMultiCallable[Request, Response]) -> None:
        self.proven = False
        self._method = method
        # Bounded by the flow's window: only what it hands out is put here.
        self._outbox: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[Response | grpc.RpcError | None] = queue.SimpleQueue()
        self._call: Answers[Response] | None = None
        self._reader: threading.Thread | None = None

    def send(self, request: Request) -> None:
        """Put a request on the stream."""
        self._outbox.put(request)
        if self._call is None:
            self._call = self._method(iter(self._outbox.get, None), timeout=calls.STREAM_LIMIT_S)
            self._reader = threading.Thread(
                target=self._read, args=(self._call,), name="lookalike-answers", daemon=True
            )
            self._reader.start()

    def receive(self, wait_s: float | None) -> list[Response]:
        """Return an answer, if one comes within `wait_s`; raises as `tasks.Stream` does."""
        if self._call is None:
            time.sleep(wait_s or 0.0)
            return []
        try:
            event = self._inbox.get(block=wait_s != 0.0, timeout=wait_s or None)
        except queue.Empty:
            return []
        answer = calls.answer_in(event)
        self.proven = True
        return [answer]

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
