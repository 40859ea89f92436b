"""The gRPC face: translates messages and delegates."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from embedder_service.decode.extras import installed_formats
from embedder_service.decode.limits import FORMATS
from embedder_service.decode.pool import Source
from embedder_service.embedder import Embedder
from embedder_service.encoder import Embedding, Encoder
from embedder_service.lanes import Lane
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc, image_pb2
from lookalike.wire import request_ids, vectors
from lookalike.wire.errors import InvalidField, LookalikeError, Reason
from lookalike.wire.status import INTERNAL_MESSAGE, to_item_error

if TYPE_CHECKING:
    import grpc

_log = logging.getLogger(__name__)

# As `lookalike.v1.ThumbnailSettings` has it.
MAX_THUMBNAIL_SIDE_PX = 256

_LANES: dict[int, Lane] = {
    embedder_pb2.LANE_UNSPECIFIED: Lane.QUERY,
    embedder_pb2.LANE_QUERY: Lane.QUERY,
    embedder_pb2.LANE_BULK: Lane.BULK,
}


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """`lookalike.v1.EmbedderService` over an `Embedder`."""

    def __init__(self, embedder: Embedder, *, max_stream_in_flight: int) -> None:
        self._embedder = embedder
        self._max_stream_in_flight = max_stream_in_flight

    async def EmbedImage(  # noqa: N802 - named by the contract
        self,
        request: embedder_pb2.EmbedImageRequest,
        context: grpc.aio.ServicerContext[
            embedder_pb2.EmbedImageRequest, embedder_pb2.EmbedImageResponse
        ],
    ) -> embedder_pb2.EmbedImageResponse:
        """Embed one image; its error is the call's."""
        embedding = await self._embedder.embed(
            _source(request), request.model, _lane(request.lane), _deadline_s(context)
        )
        return embedder_pb2.EmbedImageResponse(embedding=embedding_message(embedding))

    async def EmbedImages(  # noqa: N802 - named by the contract
        self,
        request_iterator: AsyncIterator[embedder_pb2.EmbedImagesRequest],
        context: grpc.aio.ServicerContext[
            embedder_pb2.EmbedImagesRequest, embedder_pb2.EmbedImagesResponse
        ],
    ) -> AsyncIterator[embedder_pb2.EmbedImagesResponse]:
        """Embed a stream of images; answers come as they are ready."""
        stream = _Stream(self._embedder, self._max_stream_in_flight, _deadline_s(context))
        async for response in stream.answers(request_iterator):
            yield response

    async def EmbedText(  # noqa: N802 - named by the contract
        self,
        request: embedder_pb2.EmbedTextRequest,
        context: grpc.aio.ServicerContext[
            embedder_pb2.EmbedTextRequest, embedder_pb2.EmbedTextResponse
        ],
    ) -> embedder_pb2.EmbedTextResponse:
        """Embed texts, in the space of the model's images."""
        encoder = self._embedder.encoder(request.model)
        made = await encoder.embed_texts(request.texts, _deadline_s(context))
        return embedder_pb2.EmbedTextResponse(
            vectors_f32_le=[vectors.encode(vector) for vector in made],
            model_fingerprint=encoder.fingerprint,
        )

    async def GetModel(  # noqa: N802 - named by the contract
        self,
        request: embedder_pb2.GetModelRequest,
        context: grpc.aio.ServicerContext[
            embedder_pb2.GetModelRequest, embedder_pb2.GetModelResponse
        ],
    ) -> embedder_pb2.GetModelResponse:
        """Describe one model."""
        encoder = self._embedder.encoder(request.model)
        return embedder_pb2.GetModelResponse(model=_model_message(encoder))

    async def ListModels(  # noqa: N802 - named by the contract
        self,
        request: embedder_pb2.ListModelsRequest,
        context: grpc.aio.ServicerContext[
            embedder_pb2.ListModelsRequest, embedder_pb2.ListModelsResponse
        ],
    ) -> embedder_pb2.ListModelsResponse:
        """Describe all models, the default first."""
        models = [_model_message(encoder) for encoder in self._embedder.encoders]
        return embedder_pb2.ListModelsResponse(models=models)


class _Stream:
    """One EmbedImages call: reads on only while few images are unanswered.

    Not reading is the flow control: gRPC's window fills and the client waits.
    """

    def __init__(self, embedder: Embedder, max_in_flight: int, deadline_s: float | None) -> None:
        self._embedder = embedder
        self._places = asyncio.Semaphore(max_in_flight)
        self._deadline_s = deadline_s
        # Bounded by the places: an image keeps its place until it is answered.
        self._ready: asyncio.Queue[embedder_pb2.EmbedImagesResponse | None] = asyncio.Queue()

    async def answers(
        self, requests: AsyncIterator[embedder_pb2.EmbedImagesRequest]
    ) -> AsyncIterator[embedder_pb2.EmbedImagesResponse]:
        """Yield an answer for each request, in the order in which they are ready."""
        reader = asyncio.create_task(self._read(requests))
        try:
            while (response := await self._ready.get()) is not None:
                yield response
                self._places.release()
            await reader
        finally:
            # A caller that has left: its images leave the queues with it.
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[embedder_pb2.EmbedImagesRequest]) -> None:
        failure: LookalikeError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                await self._places.acquire()
                try:
                    async for request in requests:
                        group.create_task(self._answer(request, time.monotonic()))
                        await self._places.acquire()
                except LookalikeError as error:
                    failure = error  # of the stream: what came before is answered first
        finally:
            self._ready.put_nowait(None)
        if failure is not None:
            raise failure

    async def _answer(self, request: embedder_pb2.EmbedImagesRequest, arrived_s: float) -> None:
        if request.caller_request_id:
            request_ids.enter(request.caller_request_id)
        response = embedder_pb2.EmbedImagesResponse(request_id=request.request_id)
        try:
            embedding = await self._embedder.embed(
                _source(request),
                request.model,
                _lane(request.lane),
                self._item_deadline_s(request.timeout_ms, arrived_s),
                thumbnail_side_px=_thumbnail_side_px(request),
            )
            response.embedding.CopyFrom(embedding_message(embedding))
        except LookalikeError as error:
            response.error.CopyFrom(to_item_error(error))
        except Exception:  # noqa: BLE001 - a fault of ours with one image leaves the others alone
            _log.exception("an image failed", extra={"image_request_id": request.request_id})
            hidden = LookalikeError(INTERNAL_MESSAGE, reason=Reason.INTERNAL)
            response.error.CopyFrom(to_item_error(hidden))
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("image answered", extra={"outcome": response.WhichOneof("outcome")})
        self._ready.put_nowait(response)

    def _item_deadline_s(self, timeout_ms: int, arrived_s: float) -> float | None:
        if not timeout_ms:
            return self._deadline_s
        own_s = arrived_s + timeout_ms / 1000
        return own_s if self._deadline_s is None else min(own_s, self._deadline_s)


def _deadline_s(context: grpc.aio.ServicerContext[Any, Any]) -> float | None:
    """Return the call's deadline on `time.monotonic`'s clock."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s


def _lane(number: int) -> Lane:
    lane = _LANES.get(number)
    if lane is None:
        raise InvalidField("lane", "must be LANE_QUERY or LANE_BULK")
    return lane


def _thumbnail_side_px(request: embedder_pb2.EmbedImagesRequest) -> int:
    if request.thumbnail_side_px > MAX_THUMBNAIL_SIDE_PX:
        raise InvalidField("thumbnail_side_px", f"must be at most {MAX_THUMBNAIL_SIDE_PX}")
    return request.thumbnail_side_px


def _source(
    request: embedder_pb2.EmbedImageRequest | embedder_pb2.EmbedImagesRequest,
) -> Source:
    match request.WhichOneof("image"):
        case "encoded":
            return Source(request.encoded)
        case "raw":
            raw = request.raw
            if not raw.width_px or not raw.height_px:
                raise InvalidField("raw", "width_px and height_px must be at least 1")
            return Source(raw.rgb8, raw.width_px, raw.height_px)
        case _:
            raise InvalidField("image", "set encoded or raw")


def embedding_message(embedding: Embedding) -> embedder_pb2.Embedding:
    """Return an embedding as it travels, with the image's facts."""
    facts = embedding.facts
    return embedder_pb2.Embedding(
        vector_f32_le=vectors.encode(embedding.vector),
        model_fingerprint=embedding.model_fingerprint,
        facts=image_pb2.ImageFacts(
            width_px=facts.width_px,
            height_px=facts.height_px,
            size_bytes=facts.size_bytes,
            sha256=facts.sha256,
            perceptual_hash=facts.perceptual_hash,
            sharpness=facts.sharpness,
            format=facts.format,
            thumbnail_webp=facts.thumbnail_webp,
            truncated=facts.truncated,
            blank=facts.blank,
            pixel_sha256=facts.pixel_sha256,
            grey_webp=facts.grey_webp,
            pdq_hash=facts.pdq_hash,
            pdq_quality=facts.pdq_quality,
        ),
    )


def _model_message(encoder: Encoder) -> embedder_pb2.Model:
    definition, limits = encoder.definition, encoder.limits
    return embedder_pb2.Model(
        name=definition.name,
        fingerprint=encoder.fingerprint,
        dimension=definition.dimension,
        pooling=definition.pooling,
        input_size_px=definition.preprocess.size_px,
        precision=definition.precision,
        runtime=encoder.runtime_name,
        weights_sha256=definition.weights_sha256,
        limits=embedder_pb2.ImageLimits(
            max_image_bytes=limits.max_image_bytes,
            max_image_pixels=limits.max_image_pixels,
            max_aspect_ratio=limits.max_aspect_ratio,
            formats=(*FORMATS, *installed_formats()),
        ),
        max_batch_images=encoder.batch_images,
        embeds_text=definition.text is not None,
    )
