"""Bidirectional calls that live for a while, or as long as their service does."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import grpc

from embedder_service.worker.protocols import KeyRefused, PeerLost
from lookalike.v1 import embedder_pb2, search_pb2
from lookalike.wire.errors import (
    Exhausted,
    LookalikeError,
    PermissionDenied,
    Unauthenticated,
)
from lookalike.wire.status import from_item_error, from_rpc_error

if TYPE_CHECKING:
    Call = grpc.aio.StreamStreamCall[Any, Any]


class _Session:
    """One call. Its writer is a task of its own: cancelling a write cancels the
    call, and a caller who leaves must not do that to the others."""

    def __init__(self, call: Call, peer: str) -> None:
        self._call = call
        self._peer = peer
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue()  # bounded by the callers' window
        self._opened_s = time.monotonic()
        self.accepting = True
        self.broken = False

    @property
    def age_s(self) -> float:
        """How long ago it was opened."""
        return time.monotonic() - self._opened_s

    def half_close(self) -> None:
        """Send nothing more; answers to what was sent still come."""
        if self.accepting:
            self.accepting = False
            self._outgoing.put_nowait(None)

    async def run(self) -> None:
        """Pump until the call ends, then resolve all that still waits."""
        writer = asyncio.create_task(self._write())
        error: LookalikeError = PeerLost(self._peer)
        try:
            async for response in self._call:
                self._receive(response)
        except grpc.aio.AioRpcError as failure:
            answered = from_rpc_error(failure)
            self.broken = True
            # Only a refusal of the call as a whole is the same for all that wait.
            alone = self._waiting_count() == 1
            if isinstance(answered, Unauthenticated | PermissionDenied):
                error = KeyRefused(answered)
            elif isinstance(answered, Exhausted) or (alone and not answered.retryable):
                error = answered
        finally:
            self.accepting = False
            writer.cancel()
            self._call.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._fail_all(error)

    async def _write(self) -> None:
        try:
            while (request := await self._outgoing.get()) is not None:
                await self._call.write(request)
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the call has ended: the reader says how

    def _receive(self, response: Any) -> None:
        raise NotImplementedError

    def _waiting_count(self) -> int:
        raise NotImplementedError

    def _fail_all(self, error: LookalikeError) -> None:
        raise NotImplementedError


class EmbedSession(_Session):
    """EmbedImages: answers carry the number of their request."""

    def __init__(self, call: Call, peer: str) -> None:
        super().__init__(call, peer)
        self._waiting: dict[int, asyncio.Future[embedder_pb2.Embedding]] = {}
        self._last_id = 0

    async def send(self, request: embedder_pb2.EmbedImagesRequest) -> embedder_pb2.Embedding:
        """Return the embedding; raises as `protocols.Embedder.embed`."""
        self._last_id += 1
        number = request.request_id = self._last_id
        future: asyncio.Future[embedder_pb2.Embedding] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._outgoing.put_nowait(request)
        try:
            return await future
        finally:
            self._waiting.pop(number, None)

    def _receive(self, response: embedder_pb2.EmbedImagesResponse) -> None:
        future = self._waiting.get(response.request_id)
        if future is None or future.done():
            return
        if response.WhichOneof("outcome") == "embedding":
            future.set_result(response.embedding)
        else:
            future.set_exception(from_item_error(response.error))

    def _waiting_count(self) -> int:
        return len(self._waiting)

    def _fail_all(self, error: LookalikeError) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


class UpsertSession(_Session):
    """UpsertVectors: answers come in the order of the requests."""

    def __init__(self, call: Call, peer: str) -> None:
        super().__init__(call, peer)
        self._waiting: deque[asyncio.Future[Sequence[search_pb2.MutationResult]]] = deque()

    async def send(
        self, request: search_pb2.UpsertVectorsRequest
    ) -> Sequence[search_pb2.MutationResult]:
        """Return the results of a request; raises as `protocols.Index.upsert`."""
        future: asyncio.Future[Sequence[search_pb2.MutationResult]] = (
            asyncio.get_running_loop().create_future()
        )
        self._waiting.append(future)
        self._outgoing.put_nowait(request)
        return await future

    def _receive(self, response: search_pb2.UpsertVectorsResponse) -> None:
        future = self._waiting.popleft()
        if not future.done():
            future.set_result(response.results)

    def _waiting_count(self) -> int:
        return len(self._waiting)

    def _fail_all(self, error: LookalikeError) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()
