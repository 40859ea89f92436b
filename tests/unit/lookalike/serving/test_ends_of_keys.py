"""A key that was revoked, or has expired, ends what it began; who has none leaves no traces."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from lookalike.serving.access.interceptor import audit
from lookalike.serving.access.key_store import KeyStore
from lookalike.serving.access.principal import Principal
from lookalike.serving.metrics import CallMetrics
from lookalike.serving.server import Server, ServerOptions
from lookalike.v1 import collection_pb2, ingest_pb2, ingest_pb2_grpc
from lookalike.wire import keys
from lookalike.wire.channel import ChannelOptions, aio_channel
from lookalike.wire.errors import Unauthenticated
from lookalike.wire.status import from_rpc_error
from lookalike.wire.tokens import GivenToken
from tests.unit.lookalike.serving.test_access import FromHere, record


def test_a_revoked_key_ends_though_nobody_else_calls(tmp_path: Path) -> None:
    now_s = 0.0
    path = tmp_path / "keys.json"
    one, token = record()
    keys.write(path, [one])
    holder = KeyStore(path, lambda: now_s).holder(token)
    holder.take()

    keys.write(path, [])
    now_s = 2.0
    with pytest.raises(Unauthenticated, match="revoked"):
        holder.take()


def test_a_key_that_expires_ends_what_it_began() -> None:
    now = datetime.now(UTC)
    Principal(record(expire_time=now + timedelta(hours=1))[0]).take()
    with pytest.raises(Unauthenticated, match="expired"):
        Principal(record(expire_time=now)[0]).take()


class Outcomes(ingest_pb2_grpc.IngestServiceServicer):
    """Answers a request without end, each answer after the word of the test."""

    def __init__(self, before_second: Any) -> None:
        self._before_second = before_second

    async def WatchIngest(
        self, request: Any, context: Any
    ) -> AsyncIterator[ingest_pb2.WatchIngestResponse]:
        yield ingest_pb2.WatchIngestResponse()
        self._before_second()
        yield ingest_pb2.WatchIngestResponse()


async def test_a_stream_of_answers_ends_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    one, token = record()
    keys.write(path, [one])
    registry = CollectorRegistry()
    server = Server(ServerOptions(keys_file=path), [], CallMetrics(registry))

    def revoke() -> None:
        keys.write(path, [])
        store = server._keys  # the clock that it looks by is not the test's
        assert store is not None
        store._looked_s -= 2.0

    ingest_pb2_grpc.add_IngestServiceServicer_to_server(
        Outcomes(revoke),  # type: ignore[abstract]  # the rest is not called
        server.grpc,
    )
    port = await server.start()
    try:
        options = ChannelOptions(token=GivenToken(token))
        async with aio_channel(f"127.0.0.1:{port}", options) as channel:
            stub: Any = ingest_pb2_grpc.IngestServiceStub(channel)
            answers = stub.WatchIngest(ingest_pb2.WatchIngestRequest(job_id="a"))
            assert await answers.read() == ingest_pb2.WatchIngestResponse()
            with pytest.raises(grpc.RpcError) as ended:
                await answers.read()
    finally:
        await server.stop()

    assert isinstance(from_rpc_error(ended.value), Unauthenticated)


async def test_calls_that_there_are_not_make_one_series(tmp_path: Path) -> None:
    keys.write(tmp_path / "keys.json", [])
    registry = CollectorRegistry()
    server = Server(ServerOptions(keys_file=tmp_path / "keys.json"), [], CallMetrics(registry))
    port = await server.start()
    try:
        async with aio_channel(f"127.0.0.1:{port}", ChannelOptions()) as channel:
            for number in range(30):
                call: Any = channel.unary_unary(f"/no.Service/Call{number}")
                with pytest.raises(grpc.RpcError):
                    await call(b"")
    finally:
        await server.stop()

    counted = [
        (each.labels, each.value)
        for family in registry.collect()
        for each in family.samples
        if each.name == "lookalike_rpc_calls_total"
    ]
    assert counted == [({"method": "none", "code": "UNAUTHENTICATED"}, 30.0)]


def test_a_long_name_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    context: Any = FromHere()
    request = collection_pb2.DeleteAliasRequest(alias="a" * 1_000_000)
    audit("DeleteAlias", request, context, None, "OK")

    (about,) = [vars(line)["about"] for line in caplog.records]
    assert len(about["alias"]) < 200
