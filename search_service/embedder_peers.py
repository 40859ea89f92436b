"""One embedder as the search service asks it, and what is said of failures."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import grpc

from lookalike.v1 import embedder_pb2, embedder_pb2_grpc
from lookalike.wire import tls_faults
from lookalike.wire.errors import (
    DeadlineExceeded,
    InvalidField,
    LookalikeError,
    PermissionDenied,
    Precondition,
    Reason,
    Unauthenticated,
    Unavailable,
)
from lookalike.wire.status import from_rpc_error

_log = logging.getLogger(__name__)

# Asking what is served takes a millisecond or so on a quiet network: an embedder
# that does not answer in this time is left out until the next round.
ASK_TIMEOUT_S = 2.0
# A query without a deadline must not wait for ever.
_EMBED_TIMEOUT_S = 30.0


class Peer:
    """One embedder."""

    def __init__(self, address: str, channel: grpc.aio.Channel) -> None:
        self.address = address
        self.channel = channel
        self.stub = embedder_pb2_grpc.EmbedderServiceStub(channel)


async def models_of(peer: Peer) -> dict[str, str] | Unavailable:
    """Return the names of an embedder's models by fingerprint, or why it has none for us:
    it refuses our key, or we do not trust its certificate."""
    try:
        response = await peer.stub.ListModels(
            embedder_pb2.ListModelsRequest(), timeout=ASK_TIMEOUT_S
        )
    except grpc.RpcError as error:
        failure = from_rpc_error(error)
        if (refused := refused_key(peer, failure)) is not None:
            return refused
        fault = tls_faults.certain(error.details() or "")
        _log.warning(
            "embedder does not answer",
            extra={
                "embedder": peer.address,
                "reason": failure.reason.name,
                "said": fault or failure.message,
            },
        )
        if fault is None:
            return {}
        return Unavailable(
            "TLS between the search service and the embedder fails; the log of the search service "
            "says why",
            reason=Reason.EMBEDDER_UNAVAILABLE,
            retry_delay_s=5.0,
        )
    return {model.fingerprint: model.name for model in response.models}


async def texts_of(
    request: embedder_pb2.EmbedTextRequest, deadline_s: float | None, peer: Peer
) -> embedder_pb2.EmbedTextResponse:
    """Have texts embedded.

    Raises:
        Precondition: the embedder is of a release that knows pictures only.
        grpc.RpcError: it fails.
    """
    try:
        return await peer.stub.EmbedText(request, timeout=remaining_s(deadline_s))
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNIMPLEMENTED:
            raise Precondition(
                "the embedder embeds no text", reason=Reason.MODEL_MISMATCH
            ) from error
        raise


def remaining_s(deadline_s: float | None) -> float:
    """Return how long a call may take; `deadline_s` is on `time.monotonic()`.

    Raises:
        DeadlineExceeded: it has passed.
    """
    if deadline_s is None:
        return _EMBED_TIMEOUT_S
    remaining_s = deadline_s - time.monotonic()
    if remaining_s <= 0:
        raise DeadlineExceeded
    return min(remaining_s, _EMBED_TIMEOUT_S)


def with_field(error: LookalikeError, field: str) -> LookalikeError:
    """Return `error`, about `field` where it is about what was asked."""
    if isinstance(error, InvalidField | Precondition):
        error.field = field
    return error


def refused_key(peer: Peer, error: LookalikeError) -> Unavailable | None:
    """Return what a caller is told where it is our API key that an embedder refuses.

    None: it is not. The caller's own key has nothing to do with it.
    """
    if not isinstance(error, Unauthenticated | PermissionDenied):
        return None
    _log.error("an API key is refused", extra={"embedder": peer.address, "reason": error.message})
    return Unavailable(
        "the embedder does not take the search service's API key (--token-file)",
        reason=Reason.EMBEDDER_UNAVAILABLE,
        retry_delay_s=5.0,
    )


def unreachable(fingerprint: str = "", served: Mapping[str, str] | None = None) -> Unavailable:
    """Return the error for a model that no embedder answers for.

    `served` holds the names of the models that embedders do serve, by fingerprint.
    """
    which = f" that serves model {fingerprint[:12]}…" if fingerprint else ""
    advice = "check that one is running"
    others = [f"{name} ({key[:12]}…)" for key, name in (served or {}).items() if key != fingerprint]
    if others:
        advice = (
            f"those that answer serve {', '.join(others)}: start one with the collection's model "
            "(NAME@ground:white, if the first releases served NAME), or use a collection of theirs"
        )
    return Unavailable(
        f"no embedder{which} can be reached; {advice}",
        reason=Reason.EMBEDDER_UNAVAILABLE,
        retry_delay_s=1.0,
    )
