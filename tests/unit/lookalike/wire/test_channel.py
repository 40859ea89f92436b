"""Where channels connect to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from lookalike.wire.channel import ChannelOptions, aio_channel, sync_channel


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server without services, on IPv4 loopback."""
    server = grpc.server(ThreadPoolExecutor(1))
    bound = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield bound
    server.stop(None).wait()


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for everything, where nobody listens."""
    monkeypatch.delenv("no_grpc_proxy", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")


@pytest.mark.usefixtures("dead_proxy")
@pytest.mark.parametrize("target", ["127.0.0.1:{}", "localhost:{}", "ipv4:127.0.0.1:{}"])
def test_loopback_is_reached_without_the_proxy(port: int, target: str) -> None:
    with sync_channel(target.format(port), ChannelOptions()) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)


@pytest.mark.usefixtures("dead_proxy")
async def test_loopback_is_reached_without_the_proxy_from_asyncio(port: int) -> None:
    async with aio_channel(f"127.0.0.1:{port}", ChannelOptions()) as channel:
        await channel.channel_ready()
