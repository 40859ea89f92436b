"""The embedders that this service asks, found by the fingerprint of their models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import grpc

from lookalike.v1 import embedder_pb2
from lookalike.wire import vectors
from lookalike.wire.channel import ChannelOptions, aio_channel
from lookalike.wire.errors import (
    LookalikeError,
    NotFound,
    Reason,
    Unavailable,
)
from lookalike.wire.status import from_rpc_error
from search_service.domain.arrays import F32
from search_service.embedder_peers import (
    ASK_TIMEOUT_S,
    Peer,
    models_of,
    refused_key,
    remaining_s,
    texts_of,
    unreachable,
    with_field,
)

R = TypeVar("R")

# An unknown fingerprint must not make every query ask all embedders again.
_REFRESH_PAUSE_S = 1.0
# Images of one request under way at once: enough to fill the embedder's batches.
_MAX_IMAGES_UNDER_WAY = 32
# Texts of one call: an embedder's queue has room for several such calls.
_TEXTS_A_CALL = 32
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
        self._peers = [Peer(address, aio_channel(address, options)) for address in addresses]
        self._by_fingerprint: dict[str, list[Peer]] = {}
        self._names: dict[str, str] = {}
        self._refused: Unavailable | None = None  # since the last refresh
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
        refused: LookalikeError | None = None
        for peer in self._peers:
            try:
                response = await peer.stub.GetModel(
                    embedder_pb2.GetModelRequest(model=model), timeout=ASK_TIMEOUT_S
                )
            except grpc.RpcError as error:
                cause = from_rpc_error(error)
                if isinstance(cause, NotFound):
                    missing = cause
                else:
                    failure, refused = cause, refused_key(peer, cause) or refused
                continue
            found = response.model
            return Model(found.name, found.fingerprint, found.dimension)
        if missing is not None and failure is None:
            raise NotFound(  # in the words of the embedder, which says what is served
                missing.message, reason=Reason.MODEL_NOT_FOUND, field="model"
            ) from missing
        raise (refused or unreachable()) from failure

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

        return await _all_of([one(image, field) for image, field in images])

    async def embed_texts(
        self,
        texts: Sequence[tuple[str, str]],
        fingerprint: str,
        dimension: int,
        deadline_s: float | None,
    ) -> list[F32]:
        """Return the unit vectors of pairs of text and field path, in order.

        Raises:
            Precondition: the model has no text tower; with the first text's path.
            Unavailable, DeadlineExceeded, Exhausted: as `embed_all` does.
        """
        made: list[F32] = []
        for first in range(0, len(texts), _TEXTS_A_CALL):
            part = texts[first : first + _TEXTS_A_CALL]
            request = embedder_pb2.EmbedTextRequest(
                texts=[text for text, _ in part], model=fingerprint
            )
            answer = await self._answer(
                partial(texts_of, request, deadline_s),
                lambda answer: answer.model_fingerprint,
                part[0][1],
                fingerprint,
            )
            made += [
                _unit(vector, field, dimension)
                for vector, (_, field) in zip(answer.vectors_f32_le, part, strict=True)
            ]
        return made

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
        response = await self._answer(
            lambda peer: peer.stub.EmbedImage(request, timeout=remaining_s(deadline_s)),
            lambda response: response.embedding.model_fingerprint,
            field,
            fingerprint,
        )
        return response.embedding

    async def _answer(
        self,
        ask: Callable[[Peer], Awaitable[R]],
        made_by: Callable[[R], str],
        field: str,
        fingerprint: str,
    ) -> R:
        """Ask one embedder after another; `made_by` tells the model of an answer."""
        failure: LookalikeError | None = None
        refused: LookalikeError | None = None
        for peer in await self._peers_of(fingerprint):
            try:
                answer = await ask(peer)
            except grpc.RpcError as error:
                failure = from_rpc_error(error)
                if (key := refused_key(peer, failure)) is not None:
                    refused = key  # another may take it; this one may soon
                    continue
                if not isinstance(failure, Unavailable | NotFound):
                    raise with_field(failure, field) from error
                self._forget(peer, fingerprint)
                continue
            if fingerprint and made_by(answer) != fingerprint:
                self._forget(peer, fingerprint)
                continue
            return answer
        raise (refused or self._refused or unreachable(fingerprint, self._names)) from failure

    async def _peers_of(self, fingerprint: str) -> list[Peer]:
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
            answers = await asyncio.gather(*(models_of(peer) for peer in self._peers))
            found: dict[str, list[Peer]] = {}
            self._refused, self._names = None, {}
            for peer, names in zip(self._peers, answers, strict=True):
                if isinstance(names, Unavailable):
                    self._refused = names
                    continue
                self._names.update(names)
                for fingerprint in names:
                    found.setdefault(fingerprint, []).append(peer)
            self._by_fingerprint = found
            self._refreshed_s = time.monotonic()

    def _forget(self, peer: Peer, fingerprint: str) -> None:
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


def _vector(embedding: embedder_pb2.Embedding, field: str, dimension: int) -> F32:
    return _unit(embedding.vector_f32_le, field, dimension)


def _unit(data: bytes, field: str, dimension: int) -> F32:
    decoded = vectors.decode(data, field=field, dimension=dimension)
    return vectors.normalise(decoded, field=field)


async def _all_of(calls: Sequence[Coroutine[Any, Any, R]]) -> list[R]:
    """Return what `calls` give, in order; the first failure ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]
