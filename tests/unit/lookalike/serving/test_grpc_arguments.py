"""Arguments of channels and servers: names that the gRPC library knows, values that fit."""

import ast
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.serving.server import Server, ServerOptions, server_arguments
from lookalike.wire.channel import (
    KEEPALIVE_TIME_MS,
    LEAST_PING_INTERVAL_MS,
    ChannelOptions,
    aio_channel,
    channel_arguments,
    service_config,
)

ROOT = Path(__file__).resolve().parents[4]
SOURCES = ("protos", "embedder_service", "search_service", "client", "deploy", "tests")
ARGUMENT = re.compile(r"grpc\.[a-z0-9_.]+\Z")

WATCH = """
import sys
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from lookalike.wire.channel import ChannelOptions, sync_channel

with sync_channel(sys.argv[1], ChannelOptions()) as channel:
    stub = health_pb2_grpc.HealthStub(channel)
    print(stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status)
"""


def known(name: str) -> bool:
    """Whether the library's binary holds `name`, as a text of its own or at the end of one."""
    return name.encode() + b"\0" in LIBRARY


LIBRARY = next((Path(grpc.__file__).parent / "_cython").glob("cygrpc*.so")).read_bytes()


def names_in_sources() -> Iterator[tuple[Path, str]]:
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            if path == Path(__file__):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                value = node.value if isinstance(node, ast.Constant) else None
                if isinstance(value, str) and ARGUMENT.match(value) and "_" in value:
                    yield path, value


def test_the_library_tells_a_name_that_it_knows_from_one_that_it_does_not() -> None:
    assert known("grpc.keepalive_time_ms")
    assert not known("grpc.http2.min_recv_ping_interval_without_data_ms")


def test_every_argument_is_one_that_the_library_knows() -> None:
    config = service_config([("s", "")], timeout_s=1.0)
    passed = [
        *channel_arguments("a:1", ChannelOptions(service_config=config, use_proxy=True)),
        *server_arguments(ServerOptions()),
    ]
    found = [*names_in_sources(), *((Path("as passed"), name) for name, _ in passed)]

    assert len(found) > 2 * len(passed) - 5
    assert [(path, name) for path, name in found if not known(name)] == []


def test_clients_ping_less_often_than_servers_allow() -> None:
    assert KEEPALIVE_TIME_MS >= 2 * LEAST_PING_INTERVAL_MS
    assert ("grpc.keepalive_time_ms", KEEPALIVE_TIME_MS) in channel_arguments(
        "a:1", ChannelOptions()
    )
    assert (
        "grpc.http2.min_ping_interval_without_data_ms",
        LEAST_PING_INTERVAL_MS,
    ) in server_arguments(ServerOptions())


@asynccontextmanager
async def idle_watch(least_ping_interval_ms: int) -> AsyncIterator[asyncio.Task[object]]:
    """Yield the wait for the second answer on a call over which none comes.

    The client pings every second, which is the most often that the library sends.
    """
    server = Server(ServerOptions(least_ping_interval_ms=least_ping_interval_ms, grace_s=0), [])
    port = await server.start()
    await server.set_serving(True)
    async with aio_channel(f"127.0.0.1:{port}", ChannelOptions(keepalive_time_ms=1000)) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        waiting = asyncio.create_task(watch.read())
        yield waiting
        watch.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await server.stop()


async def test_an_idle_pair_stays_connected() -> None:
    """One that pings less often than is allowed, beside one that pings too often."""
    async with idle_watch(500) as allowed, idle_watch(60_000) as refused:
        await asyncio.wait([refused], timeout=60)
        with pytest.raises(grpc.aio.AioRpcError, match="Too many pings"):
            refused.result()
        done, _ = await asyncio.wait([allowed], timeout=2)

        assert not done


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
async def test_a_proxy_in_the_environment_is_not_used(variable: str) -> None:
    """Nothing listens at the proxy's port: a call that went there could not succeed."""
    server = Server(ServerOptions(grace_s=0), [])
    port = await server.start()
    await server.set_serving(True)
    path = os.pathsep.join([str(ROOT / "protos"), *sys.path])
    asking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WATCH, f"127.0.0.1:{port}"),
        env={**os.environ, variable: "http://127.0.0.1:9", "no_proxy": "", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, complaint = await asking.communicate()
    await server.stop()

    assert (asking.returncode, said.strip()) == (0, b"1"), complaint.decode()[-500:]
