"""One model that is served: admission, decode, batch, vector."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from embedder_service.admission import Admission, AdmissionOptions
from embedder_service.batcher import Batcher, BatchObserver
from embedder_service.decode.facts import ImageFacts
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.pool import DecodeJob, DecodePool, Source
from embedder_service.lanes import Lane
from embedder_service.models.definition import ModelDefinition
from embedder_service.pace import Pace
from embedder_service.runtimes.protocol import Runtime
from embedder_service.trials import BatcherOptions
from lookalike.wire.errors import DeadlineExceeded, Exhausted, InvalidField
from lookalike.wire.vectors import F32

# Images of one lane that are decoded or being decoded ahead of the runner, in
# rounds of all its slots: enough to keep it busy, few enough that a picture is not decoded long
# before its turn only to find its caller gone.
_ROUNDS_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Embedding:
    """`vector`: float32 [D], unit L2."""

    vector: F32
    model_fingerprint: str
    facts: ImageFacts


class EncoderObserver(BatchObserver, Protocol):
    """Hears of what an encoder does (metrics)."""

    def rejected(self, lane: Lane) -> None:
        """An image was refused for overload."""

    def embedded(self, lane: Lane, seconds: float) -> None:
        """An image was answered."""


class Encoder:
    """Embeds images with one model. Owned by one event loop."""

    def __init__(
        self,
        definition: ModelDefinition,
        load: Callable[[], Runtime],
        pool: DecodePool,
        limits: ImageLimits,
        batching: BatcherOptions,
        admission: AdmissionOptions,
        observer: EncoderObserver,
        memory_used: Callable[[], int],
    ) -> None:
        self.definition = definition
        # Hashed once: every answer carries it.
        self.fingerprint = definition.fingerprint
        self.limits = limits
        self._pool = pool
        self._observer = observer
        self._batcher = Batcher(load, batching, observer, memory_used)
        self._pace = Pace()
        self._admission = Admission(admission, self._pace)
        self._ahead: dict[Lane, asyncio.Semaphore] = {}

    async def start(self) -> None:
        """Load and warm up.

        Raises:
            ModelError, RuntimeUnsupported: it cannot be served here.
        """
        await self._batcher.start()
        self._pace.seed(self._batcher.seconds_per_image)
        places = _ROUNDS_AHEAD * self._batcher.parallel_images + self._pool.processes
        self._ahead = {lane: asyncio.Semaphore(places) for lane in Lane}

    async def close(self) -> None:
        """Resolve what waits and free the device."""
        await self._batcher.close()

    @property
    def healthy(self) -> bool:
        """Whether images can be embedded now."""
        return self._batcher.healthy

    @property
    def batch_images(self) -> int:
        """Most images in one forward pass."""
        return self._batcher.batch_images

    @property
    def runtime_name(self) -> str:
        """What runs the network."""
        return self._batcher.runtime_name

    def inside(self, lane: Lane) -> int:
        """Return how many images of `lane` wait or are worked on."""
        return self._admission.inside(lane)

    async def embed(
        self, source: Source, lane: Lane, deadline_s: float | None, *, thumbnail_side_px: int = 0
    ) -> Embedding:
        """Return the vector and facts of one image.

        `deadline_s` is on `time.monotonic`'s clock; `thumbnail_side_px` 0 is the pool's own.

        Raises:
            ImageUnreadable, ImageTooLarge, InvalidField: the image's own fault.
            Exhausted: too much is waiting.
            DeadlineExceeded: `deadline_s` passed.
            Unavailable: the runner failed, or the service is stopping.
        """
        started_s = time.monotonic()
        check_source(source, self.limits)
        if deadline_s is not None and deadline_s <= started_s:
            raise DeadlineExceeded
        try:
            with self._admission.admit(lane, len(source.data), deadline_s):
                images = self._admission.inside(lane)
                job = DecodeJob(source, self.definition.preprocess, thumbnail_side_px)
                embedding = await self._within(job, lane, deadline_s)
        except Exhausted:
            self._observer.rejected(lane)
            raise
        inside = sum(self._admission.inside(each) for each in Lane)
        took_s = time.monotonic() - started_s
        busy = inside >= self._batcher.parallel_images
        self._pace.answered(busy=busy, took_s=took_s, images=images)
        self._observer.embedded(lane, took_s)
        return embedding

    async def _within(self, job: DecodeJob, lane: Lane, deadline_s: float | None) -> Embedding:
        """Do the work, and stop waiting for it when the deadline passes."""
        # The loop's clock is `time.monotonic`.
        embedded = False
        try:
            async with asyncio.timeout_at(deadline_s), self._ahead[lane]:
                decoded = await self._pool.decode(job, lane, deadline_s)
                vector = await self._batcher.embed(decoded.pixels, lane, deadline_s)
                embedded = True
                facts = await asyncio.shield(decoded.facts)
        except TimeoutError as error:
            if embedded:
                self._observer.overtaken(1)
            raise DeadlineExceeded from error
        if deadline_s is not None and time.monotonic() >= deadline_s:
            # The answer and the deadline came in one turn of the loop: too late is too late.
            self._observer.overtaken(1)
            raise DeadlineExceeded
        return Embedding(vector, self.fingerprint, facts)


def check_source(source: Source, limits: ImageLimits) -> None:
    """Raise unless the image keeps the limits that show before decoding.

    Raises:
        ImageUnreadable, ImageTooLarge, InvalidField: it does not.
    """
    if not source.is_raw:
        limits.check_bytes(len(source.data))
        return
    limits.check_size(source.width_px, source.height_px)
    expected = source.width_px * source.height_px * 3
    if len(source.data) != expected:
        raise InvalidField(
            "raw.rgb8",
            f"must hold width_px * height_px * 3 = {expected} bytes, got {len(source.data)}",
        )
