"""Where channels connect to, and what they send again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from lookalike.wire.channel import ChannelOptions, aio_channel, service_config, sync_channel


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
        grpc.channel_ready_future(channel).result(timeout=60)


@pytest.mark.usefixtures("dead_proxy")
async def test_loopback_is_reached_without_the_proxy_from_asyncio(port: int) -> None:
    async with aio_channel(f"127.0.0.1:{port}", ChannelOptions()) as channel:
        await channel.channel_ready()


class _AwayOnce(grpc.GenericRpcHandler):
    """Answers each call but the first with the length of its request."""

    def __init__(self) -> None:
        self.calls = 0

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        if self.calls == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        return str(len(request)).encode()


def test_a_request_of_the_size_of_a_picture_is_sent_again() -> None:
    server = grpc.server(ThreadPoolExecutor(1), handlers=[_AwayOnce()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    options = ChannelOptions(service_config=service_config([("test.Test", "Ask")], timeout_s=30.0))
    with sync_channel(f"127.0.0.1:{port}", options) as channel:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test.Test/Ask")
        answer = ask(b"x" * 2_000_000)
    server.stop(None).wait()

    assert answer == b"2000000"
