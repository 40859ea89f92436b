"""What the measurements send, and how long it takes until it is found."""

from __future__ import annotations

import asyncio
import importlib
import io
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lookalike.v1 import collection_pb2, embedder_pb2, embedder_pb2_grpc, ingest_pb2, search_pb2
from lookalike.wire.channel import ChannelOptions, aio_channel
from tests.integration.ingest.caller import Caller
from tests.integration.ingest.system import ROOT

FASHION = ROOT.parent / "shared" / "data" / "fashion" / "images"
_PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "retina", "cat")
# As many as the worker keeps under way (`WorkerSettings.max_embeds_in_flight`).
_IN_FLIGHT = 64


def pictures(folder: Path, count: int) -> list[bytes]:
    """Return `count` encoded photographs: the folder's, else those of scikit-image in
    many sizes."""
    files = sorted(folder.glob("*.jpg"))[:count] if folder.is_dir() else []
    if files:
        return [file.read_bytes() for file in files]
    library: Any = importlib.import_module("skimage.data")  # its functions have no types
    photos = [Image.fromarray(getattr(library, name)()).convert("RGB") for name in _PHOTOS]
    return [_jpeg(photos[number % len(photos)], 240 + number) for number in range(count)]


async def embed_rate(address: str, images: Sequence[bytes]) -> float:
    """Return images a second of the embedder alone, bulk lane, one stream."""
    places = asyncio.Semaphore(_IN_FLIGHT)

    async def requests() -> AsyncIterator[embedder_pb2.EmbedImagesRequest]:
        for number, image in enumerate(images):
            await places.acquire()
            yield embedder_pb2.EmbedImagesRequest(
                request_id=number, encoded=image, lane=embedder_pb2.LANE_BULK
            )

    async with aio_channel(address, ChannelOptions()) as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        start_s = time.perf_counter()
        answered = 0
        async for answer in stub.EmbedImages(requests()):
            places.release()
            if answer.HasField("error"):
                raise AssertionError(f"an image failed: {answer.error.message}")
            answered += 1
    return answered / (time.perf_counter() - start_s)


async def ingest_rate(one: Caller, collection: str, images: Sequence[bytes]) -> float:
    """Return images a second from the first byte sent to the last one searchable."""
    await one.collections.CreateCollection(
        collection_pb2.CreateCollectionRequest(name=collection, model="")
    )
    start_s = time.perf_counter()
    await submit(one, collection, collection, images)
    await watch(one, collection)
    took_s = time.perf_counter() - start_s
    count = await one.search.CountItems(search_pb2.CountItemsRequest(collection=collection))
    if count.count != len(images):
        raise AssertionError(f"{count.count} of {len(images)} are searchable")
    return len(images) / took_s


async def searchable_s(one: Caller, collection: str, number: int, image: bytes) -> float:
    """Return the seconds from sending one image until a search by it finds it."""
    start_s = time.perf_counter()
    job_id = f"{collection}-{number}"
    await submit(one, collection, job_id, [image])
    await watch(one, job_id)
    response = await one.search.Search(
        search_pb2.SearchRequest(
            collection=collection, queries=[search_pb2.Query(id=f"{job_id}-0")], limit=1
        )
    )
    if len(response.results) != 1:
        raise AssertionError("the image is not found")
    return time.perf_counter() - start_s


async def submit(one: Caller, collection: str, job_id: str, images: Sequence[bytes]) -> None:
    """Submit images; each must be accepted at once."""

    async def requests() -> AsyncIterator[ingest_pb2.SubmitImagesRequest]:
        for number, image in enumerate(images):
            upload = ingest_pb2.ImageUpload(id=f"{job_id}-{number}", image=image)
            yield ingest_pb2.SubmitImagesRequest(
                request_id=number, collection=collection, job_id=job_id, upload=upload
            )

    async for answer in one.ingest.SubmitImages(requests()):
        if answer.HasField("error"):
            raise AssertionError(f"an image was refused: {answer.error.message}")


async def watch(one: Caller, job_id: str) -> None:
    """Wait for the job's end; every image must have been applied."""
    async for event in one.ingest.WatchIngest(ingest_pb2.WatchIngestRequest(job_id=job_id)):
        if event.result.status != search_pb2.MUTATION_STATUS_APPLIED:
            raise AssertionError(f"an image failed: {event.result.error.message}")


def _jpeg(photo: Image.Image, width_px: int) -> bytes:
    out = io.BytesIO()
    height_px = round(photo.height * width_px / photo.width)
    photo.resize((width_px, height_px)).save(out, "JPEG", quality=90)
    return out.getvalue()
