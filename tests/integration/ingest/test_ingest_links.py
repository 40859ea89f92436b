"""The worker's connections, against small servers that misbehave on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from embedder_service.worker.clients import EmbedderClient, SearchClient
from embedder_service.worker.protocols import PeerLost
from lookalike.serving.server import Server, ServerOptions
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc, errors_pb2, search_pb2, search_pb2_grpc
from lookalike.wire.channel import ChannelOptions, aio_channel
from lookalike.wire.errors import Exhausted, ImageUnreadable, NotFound, Reason

Context = grpc.aio.ServicerContext[Any, Any]


class Embedder(embedder_pb2_grpc.EmbedderServiceServicer):
    """Answers each image with itself, "slow" never, "bad" with an error."""

    def __init__(self) -> None:
        self.seen = asyncio.Event()
        self.streams = 0

    async def EmbedImages(
        self, requests: AsyncIterator[embedder_pb2.EmbedImagesRequest], context: Context
    ) -> AsyncIterator[embedder_pb2.EmbedImagesResponse]:
        self.streams += 1
        async for request in requests:
            self.seen.set()
            response = embedder_pb2.EmbedImagesResponse(request_id=request.request_id)
            if request.encoded == b"slow":
                continue
            if request.encoded == b"bad":
                response.error.reason = errors_pb2.ERROR_REASON_IMAGE_UNREADABLE
            else:
                response.embedding.vector_f32_le = request.encoded
            yield response


class Search(search_pb2_grpc.SearchServiceServicer):
    """Acknowledges what it is sent; a collection that is not "c" is not there."""

    def __init__(self) -> None:
        self.messages: list[int] = []
        self.hold = asyncio.Event()
        self.hold.set()

    def _results(self, uid: str, items: Any) -> list[search_pb2.MutationResult]:
        if uid == "full":
            raise Exhausted("no room")
        if uid != "c":
            raise NotFound("there is none", reason=Reason.COLLECTION_NOT_FOUND)
        self.messages.append(len(items))
        return [search_pb2.MutationResult(id=item.id, version=item.version) for item in items]

    async def UpsertVectors(
        self, requests: AsyncIterator[search_pb2.UpsertVectorsRequest], context: Context
    ) -> AsyncIterator[search_pb2.UpsertVectorsResponse]:
        async for request in requests:
            await self.hold.wait()
            yield search_pb2.UpsertVectorsResponse(
                results=self._results(request.collection, request.items)
            )

    async def DeleteItems(
        self, request: search_pb2.DeleteItemsRequest, context: Context
    ) -> search_pb2.DeleteItemsResponse:
        return search_pb2.DeleteItemsResponse(
            results=self._results(request.collection, request.items)
        )

    async def UpdateMetadata(
        self, request: search_pb2.UpdateMetadataRequest, context: Context
    ) -> search_pb2.UpdateMetadataResponse:
        return search_pb2.UpdateMetadataResponse(
            results=self._results(request.collection, request.updates)
        )


def _new_embedder() -> Embedder:
    return Embedder()  # type: ignore[abstract]  # has what the worker calls


async def _serve_embedder(servicer: Embedder, port: int = 0) -> tuple[Server, int]:
    server = Server(ServerOptions(port=port, grace_s=60.0), ["lookalike.v1.EmbedderService"])
    embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(servicer, server.grpc)
    bound = await server.start()
    await server.set_serving(True)
    return server, bound


async def _serve_search(servicer: Search) -> tuple[Server, int]:
    server = Server(ServerOptions(grace_s=5.0), ["lookalike.v1.SearchService"])
    search_pb2_grpc.add_SearchServiceServicer_to_server(servicer, server.grpc)
    bound = await server.start()
    await server.set_serving(True)
    return server, bound


@pytest.fixture
async def index() -> AsyncIterator[tuple[SearchClient, Search]]:
    servicer = Search()  # type: ignore[abstract]  # has what the worker calls
    server, port = await _serve_search(servicer)
    channel = aio_channel(f"127.0.0.1:{port}", ChannelOptions())
    link = SearchClient(channel, timeout_s=30.0)
    link.start()
    await link.wait_ready()
    yield link, servicer
    await link.close()
    await channel.close()
    await server.grpc.stop(None)


async def test_an_image_is_answered_by_its_own_number() -> None:
    server, port = await _serve_embedder(_new_embedder())
    channel = aio_channel(f"127.0.0.1:{port}", ChannelOptions())
    link = EmbedderClient(channel, timeout_s=30.0)
    link.start()
    await link.wait_ready()
    images = [b"%d" % number for number in range(50)]
    answers = await asyncio.gather(*(link.embed(image, "") for image in images))
    assert [answer.vector_f32_le for answer in answers] == images
    with pytest.raises(ImageUnreadable):
        await link.embed(b"bad", "")
    assert (await link.embed(b"good", "")).vector_f32_le == b"good"
    await link.close()
    await channel.close()
    await server.grpc.stop(None)


async def test_a_killed_embedder_fails_what_was_under_way_and_is_found_again() -> None:
    servicer = _new_embedder()
    server, port = await _serve_embedder(servicer)
    channel = aio_channel(f"127.0.0.1:{port}", ChannelOptions())
    link = EmbedderClient(channel, timeout_s=30.0)
    link.start()
    await link.wait_ready()
    waiting = [asyncio.create_task(link.embed(b"slow", "")) for _ in range(3)]
    await servicer.seen.wait()
    await server.grpc.stop(None)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {PeerLost}
    async with asyncio.timeout(60):
        while link.ready:
            await asyncio.sleep(0.01)
    server, _ = await _serve_embedder(_new_embedder(), port)
    async with asyncio.timeout(20):
        await link.wait_ready()
        assert (await link.embed(b"again", "")).vector_f32_le == b"again"
    await link.close()
    await channel.close()
    await server.grpc.stop(None)


async def test_a_draining_embedder_need_not_wait_for_its_grace() -> None:
    """The worker leaves stream and watch as soon as it hears NOT_SERVING."""
    server, port = await _serve_embedder(_new_embedder())
    channel = aio_channel(f"127.0.0.1:{port}", ChannelOptions())
    link = EmbedderClient(channel, timeout_s=30.0)
    link.start()
    await link.wait_ready()
    await link.embed(b"one", "")
    async with asyncio.timeout(30):  # its grace is 60 s
        await server.stop()
    assert not link.ready
    await link.close()
    await channel.close()


async def test_mutations_are_gathered_and_answered(index: tuple[SearchClient, Search]) -> None:
    link, servicer = index
    servicer.hold.clear()
    upserts = [
        asyncio.create_task(link.upsert("c", search_pb2.VectorUpsert(id=f"{n}", version=n)))
        for n in range(100)
    ]
    await asyncio.sleep(0.05)
    servicer.hold.set()
    results = await asyncio.gather(*upserts)
    assert [(result.id, result.version) for result in results] == [(f"{n}", n) for n in range(100)]
    assert sum(servicer.messages) == 100
    assert max(servicer.messages) > 10
    deleted = await link.delete("c", search_pb2.ItemDelete(id="x", version=7))
    updated = await link.update_metadata("c", search_pb2.MetadataUpdate(id="y", version=8))
    assert (deleted.version, updated.version) == (7, 8)


async def test_a_refusal_of_the_call_reaches_its_items(index: tuple[SearchClient, Search]) -> None:
    link, _ = index
    for uid, kind in (("gone", NotFound), ("full", Exhausted)):
        with pytest.raises(kind):
            await link.upsert(uid, search_pb2.VectorUpsert(id="a"))
        with pytest.raises(kind):
            await link.delete(uid, search_pb2.ItemDelete(id="a"))
        with pytest.raises(kind):
            await link.update_metadata(uid, search_pb2.MetadataUpdate(id="a"))
    async with asyncio.timeout(60):
        await link.wait_ready()
        assert (await link.upsert("c", search_pb2.VectorUpsert(id="a"))).id == "a"
