"""What both clients share about calls: retries, deadlines, errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import grpc
from google.protobuf.descriptor_pb2 import MethodOptions

from lookalike.v1 import (
    bank_pb2,
    collection_pb2,
    ingest_pb2,
    reembedding_pb2,
    search_pb2,
    snapshot_pb2,
)
from lookalike.wire import proxies
from lookalike.wire.channel import ChannelOptions, TlsFiles, service_config
from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable
from lookalike.wire.status import from_rpc_error
from lookalike.wire.tokens import Token

T = TypeVar("T")
Explain: TypeAlias = Callable[[LookalikeError], LookalikeError]

DEFAULT_TIMEOUT_S = 30.0
# A stream is closed in an orderly way and opened again when it is this old, so
# that every call has a deadline and a server that hangs is noticed.
STREAM_S = 300.0
# The deadline of a stream: what is under way when it is closed has time to end.
STREAM_LIMIT_S = STREAM_S + 60.0
# How long a stream may go without progress, through restarts and overload, until
# the caller gets the error.
PATIENCE_S = 300.0

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0

_CONTRACT = (bank_pb2, collection_pb2, ingest_pb2, reembedding_pb2, search_pb2, snapshot_pb2)
_BROKEN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,  # a server that drains cancels what outlives its grace
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


def explaining(target: str, variables: Mapping[str, str], *, use_proxy: bool) -> Explain:
    """Return what adds to an error a word on the proxy, where that may be behind it.

    `variables` are those of the environment that name proxies.
    """
    return lambda error: proxies.explained(error, target, variables, use_proxy=use_proxy)


@contextmanager
def translated(explain: Explain) -> Iterator[None]:
    """Raise a failed call as the error that it carries, explained.

    Raises:
        LookalikeError: the call failed.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise explain(from_rpc_error(error)) from error


def same_length(results: list[T], asked: Sized) -> list[T]:
    """Return `results`, of which there must be one for each that was asked for.

    Raises:
        LookalikeError: the service answered more or fewer.
    """
    if len(results) != len(asked):
        message = f"the service sent {len(results)} results for {len(asked)} requests"
        raise LookalikeError(message, reason=Reason.INTERNAL)
    return results


def channel_options(
    tls: TlsFiles | None, timeout_s: float, use_proxy: bool, token: Token | None = None
) -> ChannelOptions:
    """Return how to connect, with retries of idempotent calls."""
    config = service_config(idempotent_calls(), timeout_s=timeout_s)
    return ChannelOptions(tls=tls, service_config=config, use_proxy=use_proxy, token=token)


def idempotent_calls() -> list[tuple[str, str]]:
    """Return (service, method) of each call that may be sent again without harm.

    The contract says which ones, by `idempotency_level`. Streams are left out: they
    are resumed by what drives them, and outlive the timeout of a call.
    """
    return [
        (service.full_name, method.name)
        for file in _CONTRACT
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
        and not (method.client_streaming or method.server_streaming)
    ]


class StreamBrokenError(Exception):
    """A stream ended before its answers; `error` says how, for the caller."""

    def __init__(self, error: LookalikeError, *, expired: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.expired = expired


def broken(error: grpc.RpcError) -> StreamBrokenError:
    """Return how a stream broke that may be opened again.

    Raises:
        LookalikeError: opening it again would not help.
    """
    code: grpc.StatusCode = error.code()
    failure = from_rpc_error(error)
    if code not in _BROKEN and not isinstance(failure, Unavailable):
        raise failure from error
    return StreamBrokenError(failure, expired=code is grpc.StatusCode.DEADLINE_EXCEEDED)


def ended_early() -> StreamBrokenError:
    """Return how a stream broke that the service closed in an orderly way."""
    message = "the service closed the stream before it had answered everything"
    return StreamBrokenError(Unavailable(message, reason=Reason.NOT_READY))


def answer_in(event: T | grpc.RpcError | None) -> T:
    """Return the answer that a stream brought; None stands for its orderly end.

    Raises:
        StreamBrokenError: the stream ended before its answers.
        LookalikeError: it was refused for good.
    """
    if event is None:
        raise ended_early()
    if isinstance(event, grpc.RpcError):
        raise broken(event) from event
    return event


def _as_it_is(error: LookalikeError) -> LookalikeError:
    return error


@dataclass(slots=True)
class Patience:
    """Delays between attempts, and the moment to give up.

    Delays double with each attempt that brought nothing; `progress` resets both. The
    error that it ends with is explained.
    """

    patience_s: float = PATIENCE_S
    explain: Explain = _as_it_is
    _attempts: int = field(default=0, init=False)
    _since_s: float | None = field(default=None, init=False)

    def progress(self) -> None:
        """Note that something went well."""
        self._attempts, self._since_s = 0, None

    def strain(self, error: LookalikeError) -> None:
        """Note that there is no progress.

        Raises:
            LookalikeError: `error`, when patience has run out.
        """
        now_s = time.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s >= self.patience_s:
            raise self.explain(error) from error.__cause__

    def delay_s(self, error: LookalikeError) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            LookalikeError: `error`, when patience has run out.
        """
        self.strain(error)
        delay_s = min(_FIRST_DELAY_S * 2.0**self._attempts, _LONGEST_DELAY_S)
        self._attempts += 1
        jitter = random.uniform(0.8, 1.2)  # noqa: S311  # spreads callers; guards nothing
        asked_s = (error.retry_delay_s or 0.0) if isinstance(error, Exhausted) else 0.0
        return float(max(delay_s * jitter, asked_s))
