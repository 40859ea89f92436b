"""Whether a service serves, and takes our key: asked while not, watched while it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from embedder_service.worker.protocols import KeyRefused
from lookalike.wire import tls_faults
from lookalike.wire.errors import PermissionDenied, Unauthenticated
from lookalike.wire.status import from_rpc_error

_log = logging.getLogger(__name__)

_SERVING = health_pb2.HealthCheckResponse.SERVING
_FIRST_BACKOFF_S = 0.05
_MAX_BACKOFF_S = 1.0
_CHECK_TIMEOUT_S = 2.0


class Peer:
    """The health of one service behind a channel.

    The watch is left as soon as the service says that it stops: a server waits
    for its open calls, and must not wait for ours.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        service: str,
        name: str,
        begin: Callable[[float], Any],
    ) -> None:
        """`begin` opens the stream that is worked with, for so many seconds."""
        self.name = name
        # Why it takes nothing from us although it serves; empty otherwise.
        self.refusal = ""
        self._begin = begin
        self._service = service
        self._stub = health_pb2_grpc.HealthStub(channel)
        self._ready = asyncio.Event()
        self._not_ready_hooks: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._suspected = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether it serves, as far as is known."""
        return self._ready.is_set()

    def on_not_ready(self, hook: Callable[[], None]) -> None:
        """Call `hook` whenever the service stops serving."""
        self._not_ready_hooks.append(hook)

    def start(self) -> None:
        """Start asking."""
        self._task = asyncio.create_task(self._run(), name=f"peer-{self.name}")

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def wait_ready(self) -> None:
        """Wait until it serves."""
        await self._ready.wait()

    def suspect(self) -> None:
        """A call failed: do not trust what is known, ask again."""
        self._set(ready=False)
        self._suspected.set()

    async def _run(self) -> None:
        while True:
            await self._wait_serving()
            self._suspected.clear()
            self._set(ready=True)
            await self._watch_or_suspect()
            self._set(ready=False)

    async def _wait_serving(self) -> None:
        backoff_s = _FIRST_BACKOFF_S
        request = health_pb2.HealthCheckRequest(service=self._service)
        while True:
            try:
                answer = await self._stub.Check(request, timeout=_CHECK_TIMEOUT_S)
                if answer.status == _SERVING and await self._takes_key():
                    return
            except grpc.aio.AioRpcError as failure:
                self._note_refusal(tls_faults.certain(failure.details() or "") or "")
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, _MAX_BACKOFF_S)

    async def _takes_key(self) -> bool:
        """Open a stream in which nothing is said: health asks for no key, and where a stream is
        refused in the midst of a message, the library does not tell why."""
        call = self._begin(_CHECK_TIMEOUT_S)
        refusal = ""
        try:
            await call.done_writing()
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as failure:
            error = from_rpc_error(failure)
            if isinstance(error, Unauthenticated | PermissionDenied):
                refusal = KeyRefused(error).message
        except asyncio.InvalidStateError:
            pass  # it has ended: no refusal, which would have been read
        self._note_refusal(refusal)
        return not refusal

    def _note_refusal(self, refusal: str) -> None:
        if refusal and refusal != self.refusal:
            _log.error("cannot be worked with", extra={"peer": self.name, "reason": refusal})
        self.refusal = refusal

    async def _watch_or_suspect(self) -> None:
        watching = asyncio.create_task(self._watch())
        suspecting = asyncio.create_task(self._suspected.wait())
        tasks = (watching, suspecting)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        call = self._stub.Watch(health_pb2.HealthCheckRequest(service=self._service))
        try:
            async for answer in call:
                if answer.status != _SERVING:
                    return
        except grpc.aio.AioRpcError:
            return
        finally:
            call.cancel()

    def _set(self, *, ready: bool) -> None:
        if ready == self._ready.is_set():
            return
        _log.info("serves" if ready else "does not serve", extra={"peer": self.name})
        if ready:
            self._ready.set()
            return
        self._ready.clear()
        for hook in self._not_ready_hooks:
            hook()
