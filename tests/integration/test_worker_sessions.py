"""A worker's streams do not stay with one server for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from embedder_service.worker.clients import EmbedderClient
from lookalike.serving.server import Server, ServerOptions
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc
from lookalike.wire.channel import ChannelOptions, aio_channel


class Echo(embedder_pb2_grpc.EmbedderServiceServicer):
    """Counts its streams; answers, after a moment, with what it is sent."""

    def __init__(self) -> None:
        self.streams = 0
        self.images = 0

    async def EmbedImages(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        self.streams += 1
        async for request in requests:
            self.images += 1
            await asyncio.sleep(0.001)
            embedding = embedder_pb2.Embedding(vector_f32_le=request.encoded)
            yield embedder_pb2.EmbedImagesResponse(
                request_id=request.request_id, embedding=embedding
            )


@asynccontextmanager
async def two() -> AsyncIterator[tuple[list[Echo], str]]:
    echoes = [Echo(), Echo()]  # type: ignore[abstract]  # the rest is not called
    addresses = []
    async with AsyncExitStack() as stack:
        for echo in echoes:
            server = Server(ServerOptions(grace_s=0.1), [])
            embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(echo, server.grpc)
            addresses.append(f"127.0.0.1:{await server.start()}")
            stack.push_async_callback(server.stop)
        yield echoes, "ipv4:" + ",".join(addresses)


async def send(client: EmbedderClient, count: int) -> None:
    images = [b"%d" % number for number in range(count)]
    made = await asyncio.gather(*(client.embed(image, "") for image in images))
    assert [each.vector_f32_le for each in made] == images


async def test_an_old_stream_is_followed_by_one_to_another_server() -> None:
    async with two() as (echoes, target), aio_channel(target, ChannelOptions()) as channel:
        client = EmbedderClient(channel, 5.0, longest_session_s=0.0)
        # Both must be connected to: until then all goes to the first.
        while not all(echo.images for echo in echoes):
            await send(client, 8)
        await send(client, 20)
        await client.close()

    assert all(echo.streams > 1 for echo in echoes)


async def test_a_young_stream_is_kept() -> None:
    async with two() as (echoes, target), aio_channel(target, ChannelOptions()) as channel:
        client = EmbedderClient(channel, 5.0)
        for _ in range(3):
            await send(client, 20)
        await client.close()

    assert sorted(echo.streams for echo in echoes) == [0, 1]
