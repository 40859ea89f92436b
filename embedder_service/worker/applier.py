"""Takes one mutation through the embedder into the index."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from google.protobuf import struct_pb2

from embedder_service.worker import traced
from embedder_service.worker.fair import FairPlaces
from embedder_service.worker.next_step import NextStep, next_step_after
from embedder_service.worker.protocols import KeyRefused
from lookalike.serving.metrics import observe
from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.v1 import collection_pb2, embedder_pb2, image_pb2, search_pb2
from lookalike.wire.digests import digest_of_files
from lookalike.wire.errors import LookalikeError, Reason
from lookalike.wire.status import from_item_error

if TYPE_CHECKING:
    from embedder_service.worker.metrics import WorkerMetrics
    from embedder_service.worker.protocols import Embedder, Index
    from embedder_service.worker.stats import Stats

_log = logging.getLogger(__name__)

_MAX_DELAY_S = 5.0


class Applier:
    """Applies mutations; waits out whatever says nothing about the mutation."""

    def __init__(
        self,
        embedder: Embedder,
        index: Index,
        *,
        max_embeds_in_flight: int,
        stats: Stats,
        metrics: WorkerMetrics,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._places = FairPlaces(max_embeds_in_flight)
        self._stats = stats
        self._metrics = metrics
        self._waiting_for = ""

    @property
    def ready(self) -> bool:
        """Whether both services serve, as far as is known."""
        return self._embedder.ready and self._index.ready

    async def wait_ready(self) -> None:
        """Wait until both services serve."""
        while not self.ready:
            await self._embedder.wait_ready()
            await self._index.wait_ready()

    @property
    def paused_reason(self) -> str:
        """What mutations wait for, empty while they go through."""
        for peer, name in ((self._embedder, "embedder"), (self._index, "search service")):
            if not peer.ready:
                return f"{name}: {peer.refusal}" if peer.refusal else f"the {name} is away"
        return self._waiting_for

    async def apply(self, mutation: QueuedMutation, owner: str = "") -> search_pb2.MutationResult:
        """Return what became of it, once that is durable; owners share the embedder.

        Raises:
            LookalikeError: one after which the next step is GIVE_UP or TRY_ALONE.
        """
        with traced.applying(mutation):
            try:
                result = await self._apply(mutation, owner)
            except LookalikeError as error:
                if not (mutation.twinned and error.reason is Reason.COLLECTION_NOT_FOUND):
                    raise
                # It was one of two, and the other one is what stays.
                result = search_pb2.MutationResult(
                    id=mutation.id,
                    status=search_pb2.MUTATION_STATUS_SUPERSEDED,
                    version=mutation.version,
                )
            if _log.isEnabledFor(logging.DEBUG):
                status = search_pb2.MutationStatus.Name(result.status)
                _log.debug("applied", extra={**traced.about(mutation), "status": status})
            return result

    async def _apply(self, mutation: QueuedMutation, owner: str) -> search_pb2.MutationResult:
        self._time("queue", max(0.0, time.time() - mutation.submit_time_ms / 1000))
        if mutation.kind is Kind.UPLOAD:
            return await self._upload(mutation, owner)
        uid = mutation.collection_uid
        if mutation.kind is Kind.DELETE:
            item = search_pb2.ItemDelete(id=mutation.id, version=mutation.version)
            _guard(item.guard, mutation)
            return await self._stored(lambda: self._index.delete(uid, item))
        update = search_pb2.MetadataUpdate(id=mutation.id, version=mutation.version)
        update.metadata.MergeFromString(mutation.metadata)
        _guard(update.guard, mutation)
        return await self._stored(lambda: self._index.update_metadata(uid, update))

    async def _upload(self, mutation: QueuedMutation, owner: str) -> search_pb2.MutationResult:
        async with self._places.place(owner):
            embedding = await self._embedded(mutation, mutation.image, mutation.model_fingerprint)
            vectors = [
                await self._another(mutation, number, name, model)
                for name, model in (("", mutation.model_fingerprint), *mutation.named_models)
                for number in range(0 if name else 1, len(mutation.further_images) + 1)
            ]
        facts = embedding.facts
        if mutation.further_images:
            digest = await asyncio.to_thread(digest_of_files, mutation.further_images)
            facts = image_pb2.ImageFacts()
            facts.CopyFrom(embedding.facts)
            facts.further_sha256 = digest
        item = search_pb2.VectorUpsert(
            id=mutation.id,
            vector_f32_le=embedding.vector_f32_le,
            facts=facts,
            model_fingerprint=embedding.model_fingerprint,
            version=mutation.version,
            duplicate_policy=collection_pb2.DuplicatePolicy.ValueType(mutation.duplicate_policy),
            keep_metadata=mutation.keep_metadata,
            vectors=vectors,
        )
        item.metadata.MergeFromString(mutation.metadata)
        _guard(item.guard, mutation)
        return await self._stored(lambda: self._index.upsert(mutation.collection_uid, item))

    async def _another(
        self, mutation: QueuedMutation, number: int, name: str, model: str
    ) -> search_pb2.ItemVector:
        """Embed a further image, or by another model; an error says which it is of how many."""
        images = (mutation.image, *mutation.further_images)
        try:
            made = await self._embedded(mutation, images[number], model)
        except LookalikeError as error:
            error.message = f"picture {number + 1} of {len(images)}: {error.message}"
            raise
        return search_pb2.ItemVector(
            vector_f32_le=made.vector_f32_le,
            name=name,
            model_fingerprint=made.model_fingerprint if name else "",
        )

    async def _embedded(
        self, mutation: QueuedMutation, image: bytes, model: str
    ) -> embedder_pb2.Embedding:
        delay_s = 0.05
        while True:
            await self._embedder.wait_ready()
            start_s = time.monotonic()
            try:
                embedding = await self._embedder.embed(image, model, mutation.thumbnail_side_px)
            except LookalikeError as error:
                delay_s = await self._wait_out(error, delay_s, "embedder")
                continue
            self._waiting_for = ""
            self._time("embed", time.monotonic() - start_s)
            return embedding

    async def _stored(
        self, call: Callable[[], Awaitable[search_pb2.MutationResult]]
    ) -> search_pb2.MutationResult:
        delay_s = 0.05
        while True:
            await self._index.wait_ready()
            start_s = time.monotonic()
            try:
                result = await call()
                if result.HasField("error"):
                    raise from_item_error(result.error)
            except LookalikeError as error:
                delay_s = await self._wait_out(error, delay_s, "search service")
                continue
            self._waiting_for = ""
            self._time("store", time.monotonic() - start_s)
            return result

    async def _wait_out(self, error: LookalikeError, delay_s: float, peer: str) -> float:
        """Wait if `error` is about the service, else raise it; return the next delay."""
        if next_step_after(error) is not NextStep.WAIT:
            raise error
        said = f"{peer}: {error.message}"
        if isinstance(error, KeyRefused) and said != self._waiting_for:
            _log.error("an API key is refused", extra={"peer": peer, "reason": error.message})
        self._waiting_for = said
        # Spread, so that those who were refused together do not come back together.
        await asyncio.sleep(max(delay_s, error.retry_delay_s or 0.0) * random.uniform(0.7, 1.3))  # noqa: S311 - not a secret
        return min(delay_s * 2, _MAX_DELAY_S)

    def _time(self, stage: str, seconds: float) -> None:
        self._stats.add_time(stage, seconds)
        observe(self._metrics.stage_seconds.labels(stage), seconds)


def _guard(guard: struct_pb2.Struct, mutation: QueuedMutation) -> None:
    """Fill in what holds a tenant's mutation to the tenant's items; nothing for others."""
    if mutation.guard:
        guard.MergeFromString(mutation.guard)
