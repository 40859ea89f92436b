"""What calls to both services have in common: one answer, errors, an end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from embedder_service.worker.peer import Peer
from embedder_service.worker.protocols import KeyRefused, PeerLost
from lookalike.wire import request_ids
from lookalike.wire.errors import (
    LookalikeError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from lookalike.wire.status import from_rpc_error
from lookalike.wire.traces import spans


@contextmanager
def for_nobody() -> Iterator[None]:
    """Do in this block what belongs to no request and no trace."""
    with spans.within(None), request_ids.within(""):
        yield


async def asked(call: Any, request: Any, peer: Peer, name: str) -> object:
    """Return the answer of a stream that is opened for one request.

    Raises:
        LookalikeError: see `unary_error`.
    """
    try:
        await call.write(request)
        await call.done_writing()
        answer: object = await call.read()
        if answer is grpc.aio.EOF:
            raise PeerLost(name)
        await call.read()  # its end
        return answer
    except grpc.aio.AioRpcError as error:
        raise unary_error(error, peer, name) from error


def unary_error(error: grpc.aio.AioRpcError, peer: Peer, name: str) -> LookalikeError:
    """Return what a call that failed tells; `peer` is asked anew where it is not to be trusted."""
    answered = from_rpc_error(error)
    if isinstance(answered, Unavailable):
        peer.suspect()
        return PeerLost(name)
    if isinstance(answered, Unauthenticated | PermissionDenied):
        peer.suspect()
        return KeyRefused(answered)
    return answered


async def cancel(tasks: set[asyncio.Task[None]]) -> None:
    """End tasks."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
