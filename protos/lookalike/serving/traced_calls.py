"""A span for each call that a server answers, in the trace of its caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc

from lookalike.wire.traces.spans import TRACEPARENT, Kind, Span, Tracer, ended, enter

# Generic in the stubs only: quoted, for they cannot be subscripted at run time.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

# Probes ask for these all the time.
_UNTRACED = ("/grpc.health.", "/grpc.reflection.")


class TracedCalls(grpc.aio.ServerInterceptor):
    """The outermost interceptor: what the others refuse is in the trace too."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler with a span around the real one."""
        handler = await continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or method.startswith(_UNTRACED):
            return handler
        serializers = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            unary = self._unary(handler.unary_unary, method)
            return grpc.unary_unary_rpc_method_handler(unary, **serializers)
        if handler.stream_unary is not None:
            unary = self._unary(handler.stream_unary, method)
            return grpc.stream_unary_rpc_method_handler(unary, **serializers)
        if handler.unary_stream is not None:
            stream = self._stream(handler.unary_stream, method)
            return grpc.unary_stream_rpc_method_handler(stream, **serializers)
        stream = self._stream(handler.stream_stream, method)
        return grpc.stream_stream_rpc_method_handler(stream, **serializers)

    def _unary(self, behaviour: Any, method: str) -> Any:
        async def call(request: Any, context: Context) -> Any:
            with ended(self._begin(method, context)) as span:
                try:
                    return await behaviour(request, context)
                finally:
                    _say_code(span, context)

        return call

    def _stream(self, behaviour: Any, method: str) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            span = self._begin(method, context)
            # The task of a call ends with it. A generator may be closed elsewhere.
            enter(span)
            failure = "CANCELLED"
            try:
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response
                failure = ""
            except Exception as error:
                failure = type(error).__name__
                raise
            finally:
                _say_code(span, context)
                span.end(failure)

        return call

    def _begin(self, method: str, context: Context) -> Span:
        parent = ""
        for key, value in context.invocation_metadata() or ():
            if key == TRACEPARENT and isinstance(value, str):
                parent = value
        name = method.lstrip("/")
        span = self._tracer.begin(name, Kind.SERVER, parent)
        if span.kept:
            service, _, short = name.rpartition("/")
            span.say(rpc__system="grpc", rpc__service=service, rpc__method=short)
        return span


def _say_code(span: Span, context: Context) -> None:
    code = context.code()
    span.say(rpc__grpc__status_code=getattr(code, "name", None) or "OK")
