"""Collections bound to a model, with an embedder behind a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from lookalike.serving.server import Server, ServerOptions
from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import embedder_pb2 as epb
from lookalike.v1 import embedder_pb2_grpc
from lookalike.v1 import search_pb2 as spb
from lookalike.wire import vectors
from lookalike.wire.channel import ChannelOptions
from lookalike.wire.errors import (
    ImageUnreadable,
    InvalidField,
    LookalikeError,
    NotFound,
    Reason,
    Unavailable,
)
from lookalike.wire.status import from_item_error
from search_service.embedders import Embedders
from tests.integration.search_server import SearchServer, item, refused, running

MODEL = epb.Model(name="bytes", fingerprint="b" * 64, dimension=4)


class ByteEmbedder(embedder_pb2_grpc.EmbedderServiceServicer):
    """Makes vectors of the first bytes of an "image"; says what it was asked."""

    def __init__(self, model: epb.Model = MODEL) -> None:
        self.model = model
        self.asked: list[epb.EmbedImageRequest] = []
        self.remaining_s: list[float] = []

    async def EmbedImage(self, request: epb.EmbedImageRequest, context: Any) -> Any:
        self.asked.append(request)
        self.remaining_s.append(context.time_remaining())
        if not request.encoded.startswith(b"IMG"):
            raise ImageUnreadable("not an image in a known format")
        vector = np.frombuffer(request.encoded[3:7], dtype=np.uint8).astype(np.float32)
        return epb.EmbedImageResponse(
            embedding=epb.Embedding(
                vector_f32_le=vectors.encode(vector / np.linalg.norm(vector)),
                model_fingerprint=self.model.fingerprint,
            )
        )

    def EmbedImages(self, requests: Any, context: Any) -> Any:
        raise InvalidField("", "the search service embeds one image a call")

    async def EmbedText(self, request: epb.EmbedTextRequest, context: Any) -> Any:
        """As a release answers that knows no texts."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

    async def GetModel(self, request: epb.GetModelRequest, context: Any) -> Any:
        if request.model not in ("", self.model.name, self.model.fingerprint):
            raise NotFound("no such model", reason=Reason.MODEL_NOT_FOUND)
        return epb.GetModelResponse(model=self.model)

    async def ListModels(self, request: epb.ListModelsRequest, context: Any) -> Any:
        return epb.ListModelsResponse(models=[self.model])


@asynccontextmanager
async def embedding(servicer: ByteEmbedder, port: int = 0) -> AsyncIterator[int]:
    server = Server(ServerOptions(port=port, grace_s=0.1), [])
    embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(servicer, server.grpc)
    bound = await server.start()
    try:
        yield bound
    finally:
        await server.stop()


def image(*components: int) -> bytes:
    return b"IMG" + bytes(components)


def search(server: SearchServer, *queries: spb.Query) -> spb.SearchResponse:
    return server.search.Search(spb.SearchRequest(collection="photos", queries=queries), timeout=20)


def exercise(server: SearchServer) -> None:
    """Create, fill and search a bound collection."""
    made = server.collections.CreateCollection(
        cpb.CreateCollectionRequest(name="photos", model="")
    ).collection
    assert (made.dimension, made.model_fingerprint) == (4, MODEL.fingerprint)
    stored, foreign, unnamed = server.upsert(
        "photos",
        [
            item("x", [1, 0, 0, 0], model_fingerprint=MODEL.fingerprint),
            item("y", [0, 1, 0, 0], model_fingerprint="c" * 64),
            item("z", [0, 0, 1, 0]),
        ],
    )
    assert stored.status == spb.MUTATION_STATUS_APPLIED
    for result in (foreign, unnamed):
        assert from_item_error(result.error).reason is Reason.MODEL_MISMATCH
    response = search(server, spb.Query(image=image(200, 0, 0, 0)))
    (hit,) = response.results[0].hits
    assert (hit.id, round(hit.score, 5)) == ("x", 1.0)
    good = spb.Query(image=image(1, 2, 3, 4))
    with refused() as errors:
        search(server, good, good, good, spb.Query(image=b"text"))
    assert isinstance(errors[0], ImageUnreadable)
    assert errors[0].field == "queries[3].image"
    pair = [image(0, 3, 0, 4), image(9, 0, 0, 0)]
    request = spb.MakeVectorsRequest(collection="photos", images=pair)
    vectored = server.search.MakeVectors(request, timeout=20)
    rows = [np.frombuffer(each, dtype="<f4").tolist() for each in vectored.vectors_f32_le]
    assert rows == [pytest.approx([0, 0.6, 0, 0.8]), [1, 0, 0, 0]]
    assert vectored.model_fingerprint == MODEL.fingerprint
    with refused() as errors:
        server.search.MakeVectors(
            spb.MakeVectorsRequest(collection="photos", images=[image(1, 2, 3, 4), b"text"]),
            timeout=20,
        )
    assert errors[0].field == "images[1]"
    with refused() as errors:
        server.search.MakeVectors(spb.MakeVectorsRequest(collection="photos"), timeout=20)
    assert errors[0].field == "images"
    with refused() as errors:  # an embedder of a release that knows no texts
        search(server, good, spb.Query(text="a red shoe"))
    assert errors[0].reason is Reason.MODEL_MISMATCH
    assert errors[0].field == "queries[1].text"
    mixed = spb.Query(
        examples=spb.Examples(positives=[spb.Example(id="x"), spb.Example(image=image(0, 9, 0, 0))])
    )
    (hits,) = (result.hits for result in search(server, mixed).results)
    assert list(hits) == []  # the stored example is left out


def page_through(server: SearchServer, servicer: ByteEmbedder) -> None:
    """Page through what looks like an image, which is embedded for the first page only."""
    rows = [(f"p{n}", [1.0, n / 10, 0.0, 0.0]) for n in range(9)]
    stored = server.upsert(
        "photos", [item(key, row, model_fingerprint=MODEL.fingerprint) for key, row in rows]
    )
    assert {each.status for each in stored} == {spb.MUTATION_STATUS_APPLIED}
    request = spb.SearchRequest(
        collection="photos", queries=[spb.Query(image=image(7, 3, 0, 0))], limit=4, paged=True
    )
    whole = search(server, *request.queries).results[0].hits
    asked = len(servicer.asked)
    found: list[str] = []
    while request.paged:
        (result,) = server.search.Search(request, timeout=20).results
        found += [hit.id for hit in result.hits]
        request.page_token = result.next_page_token
        request.paged = bool(result.next_page_token)
    assert found == [hit.id for hit in whole]
    assert len(found) == 10
    assert len(servicer.asked) == asked + 1


def refuse_bindings(server: SearchServer) -> None:
    """Ask for what no embedder can give."""
    for fields, reason, field in (
        ({"model": "other"}, Reason.MODEL_NOT_FOUND, "model"),
        ({"model": "bytes", "dimension": 5}, Reason.INVALID_FIELD, "dimension"),
    ):
        request: dict[str, Any] = {"name": "refused", **fields}
        with refused() as errors:
            server.collections.CreateCollection(cpb.CreateCollectionRequest(**request))
        assert (errors[0].reason, errors[0].field) == (reason, field)


async def test_images_are_searched_through_an_embedder(tmp_path: Path) -> None:
    servicer = ByteEmbedder()
    async with embedding(servicer) as port:
        with running(tmp_path, "--embedders", f"127.0.0.1:{port}") as server:
            await asyncio.to_thread(exercise, server)
            await asyncio.to_thread(page_through, server, servicer)
            await asyncio.to_thread(refuse_bindings, server)
    assert {request.lane for request in servicer.asked} == {epb.LANE_QUERY}
    assert {request.model for request in servicer.asked} == {MODEL.fingerprint}
    # The caller's 20 s, not the 30 s of a query without a deadline.
    assert max(servicer.remaining_s) < 25


def test_without_an_embedder_it_says_so(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        with refused() as errors:
            server.collections.CreateCollection(
                cpb.CreateCollectionRequest(name="photos", model="")
            )
        assert errors[0].reason is Reason.EMBEDDER_UNAVAILABLE
        assert "--embedders" in errors[0].message
        assert "model=None" in errors[0].message


async def test_an_embedder_is_found_by_fingerprint_and_again_after_a_restart() -> None:
    first = ByteEmbedder(epb.Model(name="other", fingerprint="o" * 64, dimension=4))
    second = ByteEmbedder()
    async with embedding(first) as port_1, embedding(second) as port_2:
        addresses = [f"127.0.0.1:{port_1}", f"127.0.0.1:{port_2}"]
        embedders = Embedders(addresses, ChannelOptions())
        pairs = [(image(1, 0, 0, 0), "queries[0].image"), (image(0, 1, 0, 0), "queries[1].image")]
        found = await embedders.embed_all(pairs, MODEL.fingerprint, 4, None)
        assert [list(vector) for vector in found] == [[1, 0, 0, 0], [0, 1, 0, 0]]
        assert first.asked == []
        assert (await embedders.describe("bytes")).fingerprint == MODEL.fingerprint
        assert (await embedders.describe("")).name == "other"
        with pytest.raises(NotFound):
            await embedders.describe("third")
    with pytest.raises(Unavailable):
        await embedders.embed_all(pairs, MODEL.fingerprint, 4, None)
    async with embedding(second, port_2):
        found = await eventually(
            lambda: embedders.embed_all(pairs, MODEL.fingerprint, 4, None), Unavailable
        )
        assert len(found) == 2
    await embedders.close()


async def test_a_vector_of_another_model_is_not_taken() -> None:
    liar = ByteEmbedder()
    async with embedding(liar) as port:
        embedders = Embedders([f"127.0.0.1:{port}"], ChannelOptions())
        await embedders.embed_all([(image(1, 0, 0, 0), "f")], MODEL.fingerprint, 4, None)
        liar.model = epb.Model(name="new", fingerprint="n" * 64, dimension=4)
        with pytest.raises(Unavailable):
            await embedders.embed_all([(image(1, 0, 0, 0), "f")], MODEL.fingerprint, 4, None)
        await embedders.close()


async def test_embedders_with_other_models_only_are_named() -> None:
    async with embedding(ByteEmbedder()) as port:
        embedders = Embedders([f"127.0.0.1:{port}"], ChannelOptions())
        with pytest.raises(Unavailable, match=r"serves model xxxx.* serve bytes \(bbbbbbbbbbbb…\)"):
            await embedders.embed_all([(image(1, 0, 0, 0), "f")], "x" * 64, 4, None)
        await embedders.close()


async def eventually(call: Any, expected: type[LookalikeError]) -> Any:
    """Repeat a call that may fail while a connection comes back."""
    for _ in range(100):
        try:
            return await call()
        except expected:
            await asyncio.sleep(0.1)
    return await call()
