"""Health on a port of its own: alive from the start, serving when it is said."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.serving.health import LIVENESS, Health, HealthAddress
from lookalike.serving.server import Server, ServerOptions, server_arguments
from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.wire.channel import ChannelOptions, aio_channel

Status = health_pb2.HealthCheckResponse
SERVICE = "lookalike.v1.EmbedderService"


async def asked(stub: health_pb2_grpc.HealthStub, service: str) -> int:
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
    return int(answer.status)


async def test_a_process_is_alive_while_it_loads_and_drains() -> None:
    health = Health([SERVICE], HealthAddress("127.0.0.1", 0))
    port = await health.start()
    async with aio_channel(f"127.0.0.1:{port}", ChannelOptions()) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert [await asked(stub, name) for name in (LIVENESS, "", SERVICE)] == [
            Status.SERVING,
            Status.NOT_SERVING,
            Status.NOT_SERVING,
        ]
        await health.set_serving(True)
        assert await asked(stub, "") == await asked(stub, SERVICE) == Status.SERVING
        await health.set_serving(False)
        assert await asked(stub, "") == Status.NOT_SERVING
        assert await asked(stub, LIVENESS) == Status.SERVING
        await health.stop()
        with pytest.raises(grpc.aio.AioRpcError):
            await asked(stub, LIVENESS)


async def test_a_server_tells_the_same_on_both_ports() -> None:
    server = Server(ServerOptions(grace_s=0, health_port=0), [SERVICE])
    own = await server.start()
    await server.set_serving(True)
    for number in (own, server.health_port):
        async with aio_channel(f"127.0.0.1:{number}", ChannelOptions()) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            assert await asked(stub, SERVICE) == await asked(stub, LIVENESS) == Status.SERVING
    await server.stop()


async def test_a_taken_health_port_is_told() -> None:
    first = Health([], HealthAddress("127.0.0.1", 0))
    port = await first.start()
    assert port is not None
    with pytest.raises(SettingsInvalid, match="--health-port"):
        await Health([], HealthAddress("127.0.0.1", port)).start()
    await first.stop()


def test_connections_end_at_their_age_where_one_is_set() -> None:
    aged = dict(server_arguments(ServerOptions(max_connection_age_s=2.5)))

    assert aged["grpc.max_connection_age_ms"] == 2500
    assert "grpc.max_connection_age_ms" not in dict(server_arguments(ServerOptions()))


async def test_a_channel_spreads_calls_over_all_that_a_name_stands_for() -> None:
    both = [Health([], HealthAddress("127.0.0.1", 0)) for _ in range(2)]
    ports = [await each.start() for each in both]
    await both[0].set_serving(True)
    target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    async with aio_channel(target, ChannelOptions()) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        # The second may be connected a moment after the first.
        seen = {await asked(stub, "") for _ in range(200)}
    for each in both:
        await each.stop()

    assert seen == {Status.SERVING, Status.NOT_SERVING}
