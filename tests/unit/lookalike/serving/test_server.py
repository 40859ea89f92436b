"""The shared server, over a real socket, with a small service of the contract."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry, generate_latest

from lookalike.serving.metrics import CallMetrics
from lookalike.serving.server import Server, ServerOptions
from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc
from lookalike.wire import status
from lookalike.wire.channel import ChannelOptions, aio_channel
from lookalike.wire.errors import Exhausted, InvalidField, NotFound, Reason, Unavailable

SERVICE = "lookalike.v1.EmbedderService"
Behaviour = Callable[[], Awaitable[None]]


class Servicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """Runs `behaviour` in each method that the tests call."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    async def GetModel(self, request: Any, context: Any) -> embedder_pb2.GetModelResponse:
        await self._behaviour()
        return embedder_pb2.GetModelResponse(model=embedder_pb2.Model(name="m"))

    async def EmbedImages(
        self, requests: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[embedder_pb2.EmbedImagesResponse]:
        async for request in requests:
            yield embedder_pb2.EmbedImagesResponse(request_id=request.request_id)
            await self._behaviour()

    async def EmbedImage(self, request: Any, context: Any) -> embedder_pb2.EmbedImageResponse:
        await self._behaviour()
        return embedder_pb2.EmbedImageResponse()

    async def EmbedText(self, request: Any, context: Any) -> embedder_pb2.EmbedTextResponse:
        await self._behaviour()
        return embedder_pb2.EmbedTextResponse()

    async def ListModels(self, request: Any, context: Any) -> embedder_pb2.ListModelsResponse:
        await self._behaviour()
        return embedder_pb2.ListModelsResponse()


@asynccontextmanager
async def serve(
    behaviour: Behaviour, options: ServerOptions | None = None, metrics: CallMetrics | None = None
) -> AsyncIterator[tuple[Server, Any, grpc.aio.Channel]]:
    server = Server(options or ServerOptions(grace_s=2), [SERVICE], metrics)
    embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(Servicer(behaviour), server.grpc)
    port = await server.start()
    async with aio_channel(f"127.0.0.1:{port}", ChannelOptions()) as channel:
        yield server, embedder_pb2_grpc.EmbedderServiceStub(channel), channel
    await server.stop()


async def nothing() -> None:
    return


def raising(error: Exception) -> Behaviour:
    async def behaviour() -> None:
        raise error

    return behaviour


async def test_an_expected_error_keeps_reason_field_and_text() -> None:
    async with serve(raising(InvalidField("model", "use a name"))) as (_, stub, _channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(embedder_pb2.GetModelRequest())

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "model: use a name"
    error = status.from_rpc_error(caught.value)
    assert (error.reason, error.field, error.message) == (
        Reason.INVALID_FIELD,
        "model",
        "use a name",
    )


async def test_a_retry_delay_travels() -> None:
    async with serve(raising(Exhausted("full", retry_delay_s=2.5))) as (_, stub, _channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(embedder_pb2.GetModelRequest())

    error = status.from_rpc_error(caught.value)
    assert isinstance(error, Exhausted)
    assert error.retry_delay_s == 2.5


async def test_a_fault_does_not_leak_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(raising(RuntimeError("secret path"))) as (_, stub, _channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(
                embedder_pb2.GetModelRequest(), metadata=(("x-request-id", "abc-1"),)
            )

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (caught.value.details() or "")
    assert any(getattr(record, "request_id", "") == "abc-1" for record in caplog.records)


async def test_an_error_in_a_stream_comes_after_what_was_sent() -> None:
    behaviour = raising(NotFound("no such model", reason=Reason.MODEL_NOT_FOUND))
    async with serve(behaviour) as (_, stub, _channel):
        call = stub.EmbedImages(iter([embedder_pb2.EmbedImagesRequest(request_id=7)]))
        seen = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for response in call:
                seen.append(response.request_id)

    assert seen == [7]
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_one_call_too_many_is_refused_and_the_place_comes_back() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        await release.wait()

    options = ServerOptions(max_concurrent_rpcs=1, grace_s=2)
    async with serve(wait, options) as (_, stub, _channel):
        first = asyncio.create_task(_get(stub))
        await entered.wait()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(embedder_pb2.GetModelRequest())
        release.set()
        assert (await first).model.name == "m"
        assert (await _get(stub)).model.name == "m"

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_health_follows_and_is_not_counted_against_the_bound() -> None:
    async with serve(nothing, ServerOptions(max_concurrent_rpcs=0)) as (server, _, channel):
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        before = await stub.Check(request)
        await server.set_serving(True)
        after = await stub.Check(request)

    assert before.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert after.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_call_under_way_is_finished_when_the_server_stops() -> None:
    entered = asyncio.Event()

    async def slow() -> None:
        entered.set()
        await asyncio.sleep(0.3)

    async with serve(slow) as (server, stub, _channel):
        call = asyncio.create_task(_get(stub))
        await entered.wait()
        await server.stop()
        assert (await call).model.name == "m"


async def test_a_cancelled_stream_frees_its_place() -> None:
    registry = CollectorRegistry()

    async def forever() -> None:
        await asyncio.sleep(3600)

    async with serve(forever, metrics=CallMetrics(registry)) as (_, stub, _channel):
        call = stub.EmbedImages(iter([embedder_pb2.EmbedImagesRequest(request_id=1)]))
        await call.read()
        call.cancel()
        while registry.get_sample_value("lookalike_rpc_active") != 0:
            await asyncio.sleep(0.01)

    assert b'code="CANCELLED"' in generate_latest(registry)


async def test_a_taken_port_is_told() -> None:
    async with serve(nothing) as (_, _stub, channel):
        del channel
        first = Server(ServerOptions(), [SERVICE])
        port = await first.start()
        with pytest.raises(SettingsInvalid, match="--port"):
            await Server(ServerOptions(port=port), [SERVICE]).start()
        await first.stop()


async def test_no_server_is_unavailable() -> None:
    async with aio_channel("127.0.0.1:1", ChannelOptions()) as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(embedder_pb2.GetModelRequest())

    assert isinstance(status.from_rpc_error(caught.value), Unavailable)


async def _get(stub: Any) -> embedder_pb2.GetModelResponse:
    response: embedder_pb2.GetModelResponse = await stub.GetModel(embedder_pb2.GetModelRequest())
    return response
