"""Channels whose calls are spans, and carry their traces to the service that is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from lookalike.wire.traces.spans import TRACEPARENT, Kind, Span, Tracer, current

_HEALTH = "/grpc.health.v1.Health/"


def traced_aio(channel: grpc.aio.Channel, tracer: Tracer) -> grpc.aio.Channel:
    """Return a channel that makes the calls of `channel`, each as a span."""
    return _AioChannel(channel, tracer)


def traced_sync(channel: grpc.Channel, tracer: Tracer) -> grpc.Channel:
    """Return a channel that makes the calls of `channel`, each as a span."""
    return _SyncChannel(channel, tracer)


class _Method:
    """One method of the contract."""

    def __init__(self, method: Any, path: str, tracer: Tracer) -> None:
        self._method = method
        self._path = path
        self._tracer = tracer

    def _begin(self) -> Span | None:
        """Begin the span of a call; None for one that belongs to no trace."""
        around = current()
        name = self._path.lstrip("/")
        if around is not None:
            span = around.begin(name, Kind.CLIENT)
        elif self._tracer.begins_calls and not self._path.startswith(_HEALTH):
            span = self._tracer.begin(name, Kind.CLIENT)
        else:
            return None
        if span.kept:
            service, _, method = name.rpartition("/")
            span.say(rpc__system="grpc", rpc__service=service, rpc__method=method)
        return span


class _AioMethod(_Method):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        span = self._begin()
        if span is None:
            return self._method(*args, **kwargs)
        call = self._method(*args, **_carrying(kwargs, span))
        call.add_done_callback(lambda done: _end(span, _code_of(done)))
        return call


class _UnderWay:
    """Calls that end by themselves, with their spans: none is lost when the channel closes."""

    def __init__(self) -> None:
        self._spans: dict[Any, Span] = {}

    def follow(self, call: Any, span: Span) -> None:
        """End `span` when `call` has ended."""
        self._spans[call] = span
        if not call.add_callback(lambda: self._ended(call)):
            self._ended(call)  # it has

    def close(self) -> None:
        """End the spans of calls whose end was not told yet; the channel is closed."""
        for call in tuple(self._spans):
            self._ended(call)

    def _ended(self, call: Any) -> None:
        # The library tells of it in a thread of its own: only one of two takes the span.
        span = self._spans.pop(call, None)
        if span is not None:
            _end(span, call.code())


class _SyncMethod(_Method):
    """One whose answer comes with the call."""

    def __init__(self, method: Any, path: str, tracer: Tracer, under_way: _UnderWay) -> None:
        super().__init__(method, path, tracer)
        self._under_way = under_way

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._answered(self._method, args, kwargs)

    def with_call(self, *args: Any, **kwargs: Any) -> Any:
        return self._answered(self._method.with_call, args, kwargs)

    def future(self, *args: Any, **kwargs: Any) -> Any:
        return self._followed(self._method.future, args, kwargs)

    def _followed(self, method: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        span = self._begin()
        if span is None:
            return method(*args, **kwargs)
        call = method(*args, **_carrying(kwargs, span))
        self._under_way.follow(call, span)
        return call

    def _answered(self, method: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        span = self._begin()
        if span is None:
            return method(*args, **kwargs)
        code: Any = grpc.StatusCode.UNKNOWN
        try:
            answer = method(*args, **_carrying(kwargs, span))
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
            raise
        finally:
            _end(span, code)
        return answer


class _SyncStream(_SyncMethod):
    """One whose answers are a stream."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._followed(self._method, args, kwargs)


def _carrying(kwargs: dict[str, Any], span: Span) -> dict[str, Any]:
    given = kwargs.get("metadata") or ()
    return {**kwargs, "metadata": (*given, (TRACEPARENT, span.traceparent))}


def _code_of(call: Any) -> Any:
    """Return the status of a call of asyncio's that has ended."""
    asked = call.code()
    try:
        asked.send(None)  # it waits for nothing any more
    except StopIteration as answer:
        return answer.value
    asked.close()
    return grpc.StatusCode.UNKNOWN


def _end(span: Span, code: Any) -> None:
    name = getattr(code, "name", str(code))
    span.say(rpc__grpc__status_code=name)
    span.end("" if code is grpc.StatusCode.OK else name)


class _AioChannel(grpc.aio.Channel):
    """For asyncio."""

    def __init__(self, channel: grpc.aio.Channel, tracer: Tracer) -> None:
        self._channel = channel
        self._tracer = tracer

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        made = self._channel.unary_unary(method, *args, **kwargs)
        return _AioMethod(made, method, self._tracer)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        made = self._channel.unary_stream(method, *args, **kwargs)
        return _AioMethod(made, method, self._tracer)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        made = self._channel.stream_unary(method, *args, **kwargs)
        return _AioMethod(made, method, self._tracer)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        made = self._channel.stream_stream(method, *args, **kwargs)
        return _AioMethod(made, method, self._tracer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """See the library's channel."""
        await self._channel.close(grace)
        await asyncio.sleep(0)  # what ended is told in the next turn of the loop

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See the library's channel."""
        state: grpc.ChannelConnectivity = self._channel.get_state(try_to_connect)
        return state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See the library's channel."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See the library's channel."""
        await self._channel.channel_ready()


class _SyncChannel(grpc.Channel):
    """For threads."""

    def __init__(self, channel: grpc.Channel, tracer: Tracer) -> None:
        self._channel = channel
        self._tracer = tracer
        self._under_way = _UnderWay()

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        made = self._channel.unary_unary(method, *args, **kwargs)
        return _SyncMethod(made, method, self._tracer, self._under_way)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        made = self._channel.unary_stream(method, *args, **kwargs)
        return _SyncStream(made, method, self._tracer, self._under_way)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        made = self._channel.stream_unary(method, *args, **kwargs)
        return _SyncMethod(made, method, self._tracer, self._under_way)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        made = self._channel.stream_stream(method, *args, **kwargs)
        return _SyncStream(made, method, self._tracer, self._under_way)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """See the library's channel."""
        self._channel.close()
        self._under_way.close()

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False
    ) -> None:
        """See the library's channel."""
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """See the library's channel."""
        self._channel.unsubscribe(callback)
