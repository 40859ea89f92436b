"""`python -m tests.integration.ingest.embedder_stub --port N`: a server without a model.

Its vector is made of the image's hash, so that a million costs nothing and every
image finds itself. It serves the models that are asked for, of which each has vectors
of its own. Bytes that start with "poison" are unreadable; "crash" ends
the process; "blank" and "cut" are marked in the facts.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import numpy as np

from lookalike.serving.server import Server, ServerOptions
from lookalike.serving.signals import stop_event
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc, errors_pb2, image_pb2
from lookalike.wire import vectors

SERVICE = "lookalike.v1.EmbedderService"
FINGERPRINT = "5" * 64
# Models by name.
MODELS = {"stub": FINGERPRINT, "second": "6" * 64}
DIMENSION = 32

Context = grpc.aio.ServicerContext[Any, Any]


def vector_of(image: bytes, model: str = "stub") -> bytes:
    """Return the unit vector of an image, as it travels."""
    digest = hashlib.sha256(image if model == "stub" else model.encode() + image).digest()
    raw = np.frombuffer(digest, dtype=np.uint8).astype(np.float32) - 127.5
    return vectors.encode(vectors.normalise(raw, field="vector"))


class Stub(embedder_pb2_grpc.EmbedderServiceServicer):
    """As much of an embedder as the system needs."""

    def __init__(self, delay_s: float, models: Sequence[str] = ("stub",)) -> None:
        self._delay_s = delay_s
        self._models = models

    def _served(self, asked: str) -> str:
        """Return the name of the model that is asked for; "" where it is not served."""
        served = (name for name in self._models if asked in ("", name, MODELS[name]))
        return next(served, "")

    async def EmbedImages(
        self, requests: AsyncIterator[embedder_pb2.EmbedImagesRequest], context: Context
    ) -> AsyncIterator[embedder_pb2.EmbedImagesResponse]:
        async for request in requests:
            await asyncio.sleep(self._delay_s)
            response = embedder_pb2.EmbedImagesResponse(request_id=request.request_id)
            if request.encoded.startswith(b"crash"):
                os._exit(9)
            model = self._served(request.model)
            if not model:
                response.error.reason = errors_pb2.ERROR_REASON_MODEL_NOT_FOUND
                response.error.message = "this embedder does not serve the model"
            elif request.encoded.startswith(b"poison"):
                response.error.reason = errors_pb2.ERROR_REASON_IMAGE_UNREADABLE
                response.error.message = "the bytes are no image"
            else:
                response.embedding.CopyFrom(_embedding(request.encoded, model))
            yield response

    async def EmbedImage(
        self, request: embedder_pb2.EmbedImageRequest, context: Context
    ) -> embedder_pb2.EmbedImageResponse:
        return embedder_pb2.EmbedImageResponse(
            embedding=_embedding(request.encoded, self._served(request.model))
        )

    async def EmbedText(
        self, request: embedder_pb2.EmbedTextRequest, context: Context
    ) -> embedder_pb2.EmbedTextResponse:
        raise NotImplementedError

    async def GetModel(
        self, request: embedder_pb2.GetModelRequest, context: Context
    ) -> embedder_pb2.GetModelResponse:
        return embedder_pb2.GetModelResponse(model=_model(self._served(request.model)))

    async def ListModels(
        self, request: embedder_pb2.ListModelsRequest, context: Context
    ) -> embedder_pb2.ListModelsResponse:
        return embedder_pb2.ListModelsResponse(models=map(_model, self._models))


def _embedding(image: bytes, model: str) -> embedder_pb2.Embedding:
    facts = image_pb2.ImageFacts(
        size_bytes=len(image),
        sha256=hashlib.sha256(image).digest(),
        blank=image.startswith(b"blank"),
        truncated=image.startswith(b"cut"),
    )
    return embedder_pb2.Embedding(
        vector_f32_le=vector_of(image, model), model_fingerprint=MODELS[model], facts=facts
    )


def _model(name: str) -> embedder_pb2.Model:
    return embedder_pb2.Model(name=name, fingerprint=MODELS[name], dimension=DIMENSION)


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--models", default="stub", help="names, separated by commas")
    options = parser.parse_args()
    stop = stop_event()
    server = Server(ServerOptions(port=options.port, max_message_bytes=-1), [SERVICE])
    stub = Stub(options.delay_s, options.models.split(","))
    embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(stub, server.grpc)
    port = await server.start()
    await server.set_serving(True)
    print(json.dumps({"event": "serving", "port": port}), flush=True)
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(_main())
