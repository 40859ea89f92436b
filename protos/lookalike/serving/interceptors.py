"""Around every call: a bound on calls, error mapping, a request id, metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from prometheus_client import Counter, Histogram

from lookalike.serving.access.interceptor import audit
from lookalike.serving.access.principal import Principal, current
from lookalike.serving.access.rules import RULES
from lookalike.serving.metrics import CallMetrics, observe
from lookalike.wire import keys, request_ids, status
from lookalike.wire.errors import Exhausted, InvalidField, LookalikeError, Reason

_log = logging.getLogger(__name__)

# Health must answer when the server is busiest.
_HEALTH_PREFIX = "/grpc.health.v1.Health/"

# Generic in the stubs only: quoted, for they cannot be subscripted at run time.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Turns a `LookalikeError` into its status and everything else into INTERNAL."""

    def __init__(self, max_concurrent_rpcs: int, metrics: CallMetrics | None = None) -> None:
        self._free = max_concurrent_rpcs
        self._metrics = metrics
        # Looked up once: a lookup by label costs as much as all else here.
        self._counted: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler that counts, limits and maps errors around the real one."""
        handler = await continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or method.startswith(_HEALTH_PREFIX):
            return handler
        # Wrapped once: a call that is refused should cost as little as can be.
        known, wrapped = self._wrapped.get(method, (None, None))
        if known is not handler or wrapped is None:
            wrapped = self._wrap(handler, method)
            self._wrapped[method] = handler, wrapped
        return wrapped

    def _wrap(self, handler: Handler, method: str) -> Handler:
        serializers = {
            "request_deserializer": _reading(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            unary = self._unary(handler.unary_unary, method, _readable)
            return grpc.unary_unary_rpc_method_handler(unary, **serializers)
        if handler.stream_unary is not None:
            unary = self._unary(handler.stream_unary, method, _readable_each)
            return grpc.stream_unary_rpc_method_handler(unary, **serializers)
        if handler.unary_stream is not None:
            stream = self._stream(handler.unary_stream, method, _readable)
            return grpc.unary_stream_rpc_method_handler(stream, **serializers)
        stream = self._stream(handler.stream_stream, method, _readable_each)
        return grpc.stream_stream_rpc_method_handler(stream, **serializers)

    def _unary(self, behaviour: Any, method: str, read: Callable[[Any], Any]) -> Any:
        async def call(request: Any, context: Context) -> Any:
            async with _Call(self, method, context, request):
                return await behaviour(read(request), context)

        return call

    def _stream(self, behaviour: Any, method: str, read: Callable[[Any], Any]) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with _Call(self, method, context, request):
                principal = current()
                async with aclosing(behaviour(read(request), context)) as responses:
                    async for response in responses:
                        if principal is not None:
                            principal.hold()
                        yield response

        return call

    def enter(self) -> None:
        """Take a place among the calls under way.

        Raises:
            Exhausted: there is none.
        """
        if self._free <= 0:
            raise Exhausted("too many calls under way; try again later", retry_delay_s=0.5)
        self._free -= 1
        if self._metrics is not None:
            self._metrics.active.inc()

    def leave(self, method: str, code: str, seconds: float) -> None:
        """Give the place back and count the call."""
        self._free += 1
        if self._metrics is not None:
            self._metrics.active.dec()
            self.count(method, code, seconds)

    def refused(self, method: str, code: str) -> None:
        """Count a call that was refused before it was entered."""
        self.count(method, code, 0.0)

    def count(self, method: str, code: str, seconds: float) -> None:
        """Count a finished call."""
        if self._metrics is not None:
            counted = self._counted.get((method, code))
            if counted is None:
                counted = (
                    self._metrics.calls.labels(method, code),
                    self._metrics.seconds.labels(method),
                )
                self._counted[method, code] = counted
            counted[0].inc()
            observe(counted[1], seconds)


class _Unreadable:
    """In the place of a message that could not be read."""


def _reading(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Have what cannot be read told by the call: gRPC itself would say INTERNAL."""
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            _log.info("a message cannot be read: %s", error)
            return _Unreadable()

    return read


def _readable(request: Any) -> Any:
    """Raises:
    InvalidField: the message could not be read.
    """
    if isinstance(request, _Unreadable):
        raise InvalidField(
            "",
            "a message cannot be read: it is no message of this call, holds text that is"
            " not UTF-8, or metadata that nests too deep",
        )
    return request


async def _readable_each(requests: Any) -> AsyncIterator[Any]:
    """Pass messages on, no faster than the API key may bring them.

    Raises:
        InvalidField: a message could not be read.
        Unauthenticated: the key was revoked or has expired meanwhile.
    """
    principal = current()
    async for request in requests:
        if principal is not None:
            await principal.wait()
        yield _readable(request)


class _Call:
    """One call under way: an async context manager that maps what escapes."""

    __slots__ = ("_context", "_method", "_owner", "_principal", "_request", "_started_s")

    def __init__(
        self, owner: CallInterceptor, method: str, context: Context, request: object
    ) -> None:
        self._owner = owner
        self._method = method
        self._context = context
        self._request = request
        self._principal: Principal | None = current()
        self._started_s = time.monotonic()

    async def __aenter__(self) -> None:
        # The call has this task to itself.
        request_ids.enter(request_ids.of_call(self._context.invocation_metadata()))
        self._context.set_trailing_metadata((*request_ids.carried(), *_expiry(self._principal)))
        try:
            if self._principal is not None:
                self._principal.enter()
            self._enter()
        except LookalikeError as error:
            code = status.code_of(error.reason).name
            self._owner.count(self._method, code, 0.0)
            await status.abort(self._context, error)

    def _enter(self) -> None:
        try:
            self._owner.enter()
        except Exhausted:
            if self._principal is not None:
                self._principal.leave()
            raise

    async def __aexit__(self, kind: Any, error: BaseException | None, _trace: Any) -> bool:
        code = _code_of(error, self._context)
        seconds = time.monotonic() - self._started_s
        if _log.isEnabledFor(logging.DEBUG):
            about = {"method": self._method, "code": code, "seconds": round(seconds, 6)}
            _log.debug("call ended", extra=about)
        if self._principal is not None:
            self._principal.leave()
        self._owner.leave(self._method, code, seconds)
        rule = RULES.get(self._method)
        if rule is not None and rule.audited:
            audit(self._method, self._request, self._context, self._principal, code)
        if error is None or isinstance(error, grpc.aio.AbortError):
            return False
        if isinstance(error, LookalikeError):
            await status.abort(self._context, error)
        if isinstance(error, Exception):
            await self._internal(error)
        return False  # cancellation and interpreter exit pass through

    async def _internal(self, error: Exception) -> None:
        # Named here too, for programs that handle records of their own.
        about = {"method": self._method, "request_id": request_ids.current()}
        _log.error("call failed", exc_info=error, extra=about)
        hidden = LookalikeError(status.INTERNAL_MESSAGE, reason=Reason.INTERNAL)
        await status.abort(self._context, hidden)


def _expiry(principal: Principal | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata by which a caller hears until when its key is good."""
    if principal is None or principal.record.expire_time is None:
        return ()
    return ((keys.EXPIRE_TIME_KEY, principal.record.expire_time.isoformat()),)


def _code_of(error: BaseException | None, context: Context) -> str:
    if error is None:
        return "OK"
    if isinstance(error, LookalikeError):
        return status.code_of(error.reason).name
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "CANCELLED"
    if isinstance(error, grpc.aio.AbortError):
        return str(getattr(context.code(), "name", context.code()))
    return "INTERNAL"
