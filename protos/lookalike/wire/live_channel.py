"""Channels whose calls carry an API key and the id of the request that they are made for,
and that follow their certificates' files.

The library binds certificates to a channel for good. Here a channel is made anew when the
files have changed; calls under way end on the one that they began on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
import grpc.aio

from lookalike.wire import keys, request_ids
from lookalike.wire.errors import InvalidField
from lookalike.wire.tokens import Token

# A stat of three files takes 5 us; certificates change once in weeks.
_LOOK_EVERY_S = 1.0
# A stream of the client or the worker is closed in an orderly way before it is this old.
_LONGEST_CALL_S = 600.0

C = TypeVar("C")


class _Renewed(Generic[C]):
    """The channel of now; any thread may ask."""

    def __init__(
        self, make: Callable[[], C], files: Sequence[Path], retire: Callable[[C], None]
    ) -> None:
        self._make = make
        self._files = files
        self._retire = retire
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._looked_s = time.monotonic()
        # With its number: any thread takes both at once.
        self._now: tuple[C, int] = (make(), 0)

    @property
    def channel(self) -> C:
        """The channel, without looking."""
        return self._now[0]

    def look(self) -> tuple[C, int]:
        """Return the channel for the next call, and how many there were before it."""
        now_s = time.monotonic()
        if not self._files or now_s - self._looked_s < _LOOK_EVERY_S:
            return self._now
        with self._lock:
            self._looked_s = now_s
            signature = self._signature()
            if signature != self._seen:
                self._renew(signature)
        return self._now

    def _renew(self, signature: tuple[object, ...]) -> None:
        try:
            fresh = self._make()
        except (OSError, InvalidField):
            return  # in the middle of a change: looked at again
        if self._signature() != signature:
            self._retire(fresh)
            return
        old, number = self._now
        self._now = (fresh, number + 1)
        self._seen = signature
        self._retire(old)

    def _signature(self) -> tuple[object, ...]:
        found: list[object] = []
        for path in self._files:
            try:
                said = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((said.st_ino, said.st_mtime_ns, said.st_size))
        return tuple(found)


class _Method:
    """One method of the contract: made anew with each channel, called with key and id."""

    def __init__(
        self,
        renewed: _Renewed[Any],
        token: Token | None,
        kind: str,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> None:
        self._renewed = renewed
        self._token = token
        self._make = (kind, arguments, named)
        self._made: tuple[int, Any] = (-1, None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._now()(*args, **self._with_metadata(kwargs))

    def future(self, *args: Any, **kwargs: Any) -> Any:
        return self._now().future(*args, **self._with_metadata(kwargs))

    def with_call(self, *args: Any, **kwargs: Any) -> Any:
        return self._now().with_call(*args, **self._with_metadata(kwargs))

    def _now(self) -> Any:
        channel, number = self._renewed.look()
        made = self._made
        if number != made[0]:
            kind, arguments, named = self._make
            made = self._made = (number, getattr(channel, kind)(*arguments, **named))
        return made[1]

    def _with_metadata(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        carried: tuple[Any, ...] = request_ids.carried()
        if self._token is not None:
            carried = (keys.header(self._token.text()), *carried)
        if not carried:
            return kwargs
        return {**kwargs, "metadata": (*(kwargs.get("metadata") or ()), *carried)}


class _Methods:
    """What both kinds of channels share."""

    _renewed: _Renewed[Any]
    _token: Token | None

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        return _Method(self._renewed, self._token, "unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        return _Method(self._renewed, self._token, "unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        return _Method(self._renewed, self._token, "stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See the library's channel."""
        return _Method(self._renewed, self._token, "stream_stream", args, kwargs)


class AioLiveChannel(_Methods, grpc.aio.Channel):
    """For asyncio."""

    def __init__(
        self, make: Callable[[], grpc.aio.Channel], files: Sequence[Path], token: Token | None
    ) -> None:
        self._retired: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self._renewed: _Renewed[grpc.aio.Channel] = _Renewed(make, files, self._retire)
        self._token = token

    def _retire(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.get_running_loop().create_task(channel.close(_LONGEST_CALL_S))
        self._retired[task] = channel
        task.add_done_callback(self._retired.pop)

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
        for task, channel in tuple(self._retired.items()):
            task.cancel()
            await channel.close()
        await self._renewed.channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See the library's channel."""
        state: grpc.ChannelConnectivity = self._renewed.channel.get_state(try_to_connect)
        return state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See the library's channel."""
        await self._renewed.channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See the library's channel."""
        await self._renewed.channel.channel_ready()


class SyncLiveChannel(_Methods, grpc.Channel):
    """For threads."""

    def __init__(
        self, make: Callable[[], grpc.Channel], files: Sequence[Path], token: Token | None
    ) -> None:
        # Closing one cancels its calls: what is under way on it may end.
        self._retired: list[tuple[float, grpc.Channel]] = []
        self._renewed: _Renewed[grpc.Channel] = _Renewed(make, files, self._retire)
        self._token = token

    def _retire(self, channel: grpc.Channel) -> None:
        now_s = time.monotonic()
        kept: list[tuple[float, grpc.Channel]] = [(now_s, channel)]
        for since_s, old in self._retired:
            if now_s - since_s < _LONGEST_CALL_S:
                kept.append((since_s, old))
            else:
                old.close()
        self._retired = kept

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
        for _, old in self._retired:
            old.close()
        self._renewed.channel.close()

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False
    ) -> None:
        """See the library's channel."""
        self._renewed.channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """See the library's channel."""
        self._renewed.channel.unsubscribe(callback)
