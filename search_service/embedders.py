"""The embedders that this service asks, found by the fingerprint of their models."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc

from lookalike.v1 import embedder_pb2, embedder_pb2_grpc
from lookalike.wire import vectors
from lookalike.wire.channel import ChannelOptions, aio_channel
from lookalike.wire.errors import (
    DeadlineExceeded,
    InvalidField,
    LookalikeError,
    NotFound,
    Reason,
    Unavailable,
)
from lookalike.wire.status import from_rpc_error
from search_service.domain.arrays import F32

_log = logging.getLogger(__name__)

# Asking what is served takes a millisecond or so on a quiet network: an embedder
# that does not answer in this time is left out until the next round.
_ASK_TIMEOUT_S = 2.0
# A query without a deadline must not wait for ever.
_EMBED_TIMEOUT_S = 30.0
# An unknown fingerprint must not make every query ask all embedders again.
_REFRESH_PAUSE_S = 1.0
# Images of one request under way at once: enough to fill the embedder's batches.
_MAX_IMAGES_UNDER_WAY = 32
# What else a caller can do who wants a collection.
_WITHOUT_MODEL = (
    ", or give vectors of your own: external_vectors in the request, model=None in Python, "
    "--external-vectors on the command line"
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model that an embedder serves now."""

    name: str
    fingerprint: str
    dimension: int


class Embedders:
    """Clients of the configured embedders; made on the running loop."""

    def __init__(self, addresses: Sequence[str], options: ChannelOptions) -> None:
        self._peers = [_Peer(address, aio_channel(address, options)) for address in addresses]
        self._by_fingerprint: dict[str, list[_Peer]] = {}
        self._names: dict[str, str] = {}
        self._refreshed_s = float("-inf")
        self._refresh_lock = asyncio.Lock()
        self._turn = 0

    async def describe(self, model: str) -> Model:
        """Return the model of a name or fingerprint; "" for the default one.

        Raises:
            NotFound: no embedder serves it.
            Unavailable: no embedder answers.
        """
        self._check_configured(otherwise=_WITHOUT_MODEL)
        missing: LookalikeError | None = None
        failure: LookalikeError | None = None
        for peer in self._peers:
            try:
                response = await peer.stub.GetModel(
                    embedder_pb2.GetModelRequest(model=model), timeout=_ASK_TIMEOUT_S
                )
            except grpc.RpcError as error:
                cause = from_rpc_error(error)
                if isinstance(cause, NotFound):
                    missing = cause
                else:
                    failure = cause
                continue
            found = response.model
            return Model(found.name, found.fingerprint, found.dimension)
        if missing is not None and failure is None:
            raise NotFound(
                "no embedder serves that model", reason=Reason.MODEL_NOT_FOUND, field="model"
            ) from missing
        raise _unreachable() from failure

    async def embed_all(
        self,
        images: Sequence[tuple[bytes, str]],
        fingerprint: str,
        dimension: int,
        deadline_s: float | None,
    ) -> list[F32]:
        """Return the unit vectors of pairs of image and field path, in order.

        `deadline_s` is on `time.monotonic()`. One failure fails all and drops the
        others.

        Raises:
            ImageUnreadable, ImageTooLarge: with the image's field path.
            Unavailable: no embedder with that model answers.
            DeadlineExceeded, Exhausted: as the embedder says.
        """
        places = asyncio.Semaphore(_MAX_IMAGES_UNDER_WAY)

        async def one(image: bytes, field: str) -> F32:
            async with places:
                return await self._embed(image, field, fingerprint, dimension, deadline_s)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(image, field)) for image, field in images]
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        return [task.result() for task in tasks]

    async def look_at(
        self, image: bytes, field: str, fingerprint: str, dimension: int, deadline_s: float | None
    ) -> tuple[F32 | None, bytes]:
        """Return the unit vector of an image and what was seen of it, `ImageFacts`.

        Without a fingerprint any embedder is asked, and there is no vector.

        Raises:
            LookalikeError: as `embed_all` does.
        """
        embedding = await self._ask(image, field, fingerprint, deadline_s)
        facts = embedding.facts.SerializeToString()
        return (_vector(embedding, field, dimension) if fingerprint else None), facts

    async def close(self) -> None:
        """Close the channels."""
        await asyncio.gather(*(peer.channel.close() for peer in self._peers))

    async def _embed(
        self, image: bytes, field: str, fingerprint: str, dimension: int, deadline_s: float | None
    ) -> F32:
        embedding = await self._ask(image, field, fingerprint, deadline_s)
        return _vector(embedding, field, dimension)

    async def _ask(
        self, image: bytes, field: str, fingerprint: str, deadline_s: float | None
    ) -> embedder_pb2.Embedding:
        """Have an image embedded by the model; by any with the fingerprint ""."""
        request = embedder_pb2.EmbedImageRequest(
            encoded=image, model=fingerprint, lane=embedder_pb2.LANE_QUERY
        )
        failure: LookalikeError | None = None
        for peer in await self._peers_of(fingerprint):
            try:
                response = await peer.stub.EmbedImage(request, timeout=_remaining_s(deadline_s))
            except grpc.RpcError as error:
                failure = from_rpc_error(error)
                if not isinstance(failure, Unavailable | NotFound):
                    raise _with_field(failure, field) from error
                self._forget(peer, fingerprint)
                continue
            embedding = response.embedding
            if fingerprint and embedding.model_fingerprint != fingerprint:
                self._forget(peer, fingerprint)
                continue
            return embedding
        raise _unreachable(fingerprint, self._names) from failure

    async def _peers_of(self, fingerprint: str) -> list[_Peer]:
        """Return the embedders of a model, all for "", another one first each time."""
        self._check_configured()
        if fingerprint and fingerprint not in self._by_fingerprint:
            await self._refresh(fingerprint)
        peers = self._by_fingerprint.get(fingerprint, []) if fingerprint else self._peers
        self._turn += 1
        start = self._turn % len(peers) if peers else 0
        return peers[start:] + peers[:start]

    async def _refresh(self, wanted: str) -> None:
        async with self._refresh_lock:
            recent = time.monotonic() - self._refreshed_s < _REFRESH_PAUSE_S
            if wanted in self._by_fingerprint or recent:
                return
            answers = await asyncio.gather(*(_models_of(peer) for peer in self._peers))
            found: dict[str, list[_Peer]] = {}
            for peer, names in zip(self._peers, answers, strict=True):
                for fingerprint in names:
                    found.setdefault(fingerprint, []).append(peer)
            self._by_fingerprint = found
            self._names = {key: name for names in answers for key, name in names.items()}
            self._refreshed_s = time.monotonic()

    def _forget(self, peer: _Peer, fingerprint: str) -> None:
        left = [other for other in self._by_fingerprint.get(fingerprint, ()) if other is not peer]
        if left:
            self._by_fingerprint[fingerprint] = left
        else:
            self._by_fingerprint.pop(fingerprint, None)

    def _check_configured(self, otherwise: str = "") -> None:
        if not self._peers:
            raise Unavailable(
                "the search service knows no embedder; start it with --embedders HOST:PORT"
                + otherwise,
                reason=Reason.EMBEDDER_UNAVAILABLE,
            )


class _Peer:
    """One embedder."""

    def __init__(self, address: str, channel: grpc.aio.Channel) -> None:
        self.address = address
        self.channel = channel
        self.stub = embedder_pb2_grpc.EmbedderServiceStub(channel)


def _vector(embedding: embedder_pb2.Embedding, field: str, dimension: int) -> F32:
    decoded = vectors.decode(embedding.vector_f32_le, field=field, dimension=dimension)
    return vectors.normalise(decoded, field=field)


async def _models_of(peer: _Peer) -> dict[str, str]:
    """Return the names of an embedder's models by fingerprint."""
    try:
        response = await peer.stub.ListModels(
            embedder_pb2.ListModelsRequest(), timeout=_ASK_TIMEOUT_S
        )
    except grpc.RpcError as error:
        _log.warning(
            "embedder does not answer",
            extra={"embedder": peer.address, "reason": from_rpc_error(error).reason.name},
        )
        return {}
    return {model.fingerprint: model.name for model in response.models}


def _remaining_s(deadline_s: float | None) -> float:
    if deadline_s is None:
        return _EMBED_TIMEOUT_S
    remaining_s = deadline_s - time.monotonic()
    if remaining_s <= 0:
        raise DeadlineExceeded
    return min(remaining_s, _EMBED_TIMEOUT_S)


def _with_field(error: LookalikeError, field: str) -> LookalikeError:
    if isinstance(error, InvalidField):
        error.field = field
    return error


def _unreachable(fingerprint: str = "", served: Mapping[str, str] | None = None) -> Unavailable:
    """`served` holds the names of the models that embedders do serve, by fingerprint."""
    which = f" that serves model {fingerprint[:12]}…" if fingerprint else ""
    advice = "check that one is running"
    others = [f"{name} ({key[:12]}…)" for key, name in (served or {}).items() if key != fingerprint]
    if others:
        advice = (
            f"those that answer serve {', '.join(others)}: start one with the collection's model, "
            "or use a collection of theirs"
        )
    return Unavailable(
        f"no embedder{which} can be reached; {advice}",
        reason=Reason.EMBEDDER_UNAVAILABLE,
        retry_delay_s=1.0,
    )
