"""What a key may do, how much of it, and what is noted of that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.serving.access.interceptor import audit
from lookalike.serving.access.key_store import KeyStore
from lookalike.serving.access.principal import Principal, current
from lookalike.serving.server import Server, ServerOptions
from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.serving.settings.shared import ServerSettings
from lookalike.v1 import collection_pb2, collection_pb2_grpc, reembedding_pb2
from lookalike.wire import keys
from lookalike.wire.channel import ChannelOptions, TlsFiles, aio_channel
from lookalike.wire.errors import Exhausted, InvalidField, Unauthenticated
from lookalike.wire.keys import KeyRecord, Scope
from lookalike.wire.status import from_rpc_error
from lookalike.wire.tokens import GivenToken


def record(**fields: Any) -> tuple[KeyRecord, str]:
    key_id, token = keys.new_token()
    made = KeyRecord(
        id=key_id, name="n", sha256=keys.digest(token), scopes=frozenset(Scope), **fields
    )
    return made, token


def test_a_key_makes_as_many_calls_as_it_may() -> None:
    now_s = 0.0
    principal = Principal(record(calls_per_s=2.0)[0], lambda: now_s)

    principal.take()
    principal.take()
    with pytest.raises(Exhausted) as refused:
        principal.take()
    assert refused.value.retry_delay_s == 0.5
    now_s = 0.5
    principal.take()
    now_s = 60.0
    principal.take()
    principal.take()
    with pytest.raises(Exhausted):
        principal.take()


def test_a_key_has_as_many_calls_under_way_as_it_may() -> None:
    principal = Principal(record(calls_at_once=1)[0])

    principal.enter()
    with pytest.raises(Exhausted, match="under way"):
        principal.enter()
    principal.leave()
    principal.enter()


def test_a_change_of_the_file_is_taken_and_damage_is_not(tmp_path: Path) -> None:
    now_s = 0.0
    (one, first), (two, second) = record(), record()
    path = tmp_path / "keys.json"
    keys.write(path, [one])
    store = KeyStore(path, lambda: now_s)
    holder = store.holder(first)

    keys.write(path, [two])
    now_s = 2.0
    assert store.holder(second).record == two
    with pytest.raises(Unauthenticated):
        store.holder(first)
    with pytest.raises(Unauthenticated):
        holder.take()
    path.write_text("{")
    now_s = 4.0
    assert store.holder(second).record == two
    path.unlink()
    now_s = 6.0
    assert store.holder(second).record == two
    with pytest.raises(InvalidField):
        KeyStore(path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "search.example", ""])  # refused
def test_an_address_that_others_reach_needs_keys_or_a_word(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="--open-access"):
        ServerSettings(host=host)
    ServerSettings(host=host, open_access=True)
    ServerSettings(host=host, keys_file=tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1", "[::1]"])
def test_this_machine_alone_needs_none(host: str) -> None:
    ServerSettings(host=host)


class Aliases(collection_pb2_grpc.CollectionServiceServicer):
    """Answers what the tests call; says who calls."""

    async def DeleteAlias(self, request: Any, context: Any) -> collection_pb2.DeleteAliasResponse:
        return collection_pb2.DeleteAliasResponse()

    async def SetAlias(self, request: Any, context: Any) -> collection_pb2.SetAliasResponse:
        principal = current()
        name = "" if principal is None else principal.record.id
        return collection_pb2.SetAliasResponse(previous_collection=name)


@asynccontextmanager
async def serving(options: ServerOptions) -> AsyncIterator[int]:
    server = Server(options, [])
    collection_pb2_grpc.add_CollectionServiceServicer_to_server(
        Aliases(),  # type: ignore[abstract]  # the rest is not called
        server.grpc,
    )
    port = await server.start()
    try:
        yield port
    finally:
        await server.stop()


async def test_each_call_knows_its_caller_and_admin_calls_are_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (one, first), (two, second) = record(calls_at_once=5), record()
    keys.write(tmp_path / "keys.json", [one, two])
    set_alias = collection_pb2.SetAliasRequest(alias="a", collection="c")
    async with serving(ServerOptions(keys_file=tmp_path / "keys.json")) as port:
        for held, token in ((one, first), (two, second), (one, first)):
            options = ChannelOptions(token=GivenToken(token))
            async with aio_channel(f"127.0.0.1:{port}", options) as channel:
                stub: Any = collection_pb2_grpc.CollectionServiceStub(channel)
                assert (await stub.SetAlias(set_alias)).previous_collection == held.id
        async with aio_channel(f"127.0.0.1:{port}", ChannelOptions()) as channel:
            stub = collection_pb2_grpc.CollectionServiceStub(channel)
            with pytest.raises(grpc.RpcError) as refused:
                await stub.SetAlias(set_alias)

    assert isinstance(from_rpc_error(refused.value), Unauthenticated)
    noted = [vars(line) for line in caplog.records if line.name == "lookalike.audit"]
    assert [(line["message"], line["code"]) for line in noted] == [
        *(("admin call", "OK"),) * 3,
        ("call refused", "UNAUTHENTICATED"),
    ]
    assert [line["key"] for line in noted[:3]] == [one.id, two.id, one.id]
    assert noted[0]["about"] == {"alias": "a", "collection": "c"}
    assert first not in caplog.text


class FromHere:
    """The context of a call, as far as the audit asks."""

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"


@pytest.mark.parametrize(
    ("method", "request_type", "about"),
    [
        ("Rename", reembedding_pb2.RenameCollectionRequest, {"name": "a", "new_name": "b"}),
        ("Start", reembedding_pb2.StartReembeddingRequest, {"source": "a", "target": "b"}),
        (
            "End",
            reembedding_pb2.EndReembeddingRequest,
            {"collection": "a", "delete_collection": "b"},
        ),
    ],
)
def test_the_audit_names_all_that_a_call_is_about(
    method: str, request_type: Any, about: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    context: Any = FromHere()
    audit(method, request_type(**about), context, None, "OK")
    assert [vars(line)["about"] for line in caplog.records] == [about]


async def test_a_key_that_calls_too_often_is_told_how_long_to_wait(tmp_path: Path) -> None:
    one, token = record(calls_per_s=0.5)
    keys.write(tmp_path / "keys.json", [one])
    request = collection_pb2.DeleteAliasRequest(alias="a")
    async with serving(ServerOptions(keys_file=tmp_path / "keys.json")) as port:
        options = ChannelOptions(token=GivenToken(token))
        async with aio_channel(f"127.0.0.1:{port}", options) as channel:
            stub: Any = collection_pb2_grpc.CollectionServiceStub(channel)
            await stub.DeleteAlias(request)
            with pytest.raises(grpc.RpcError) as refused:
                await stub.DeleteAlias(request)

    error = from_rpc_error(refused.value)
    assert isinstance(error, Exhausted)
    assert error.retry_delay_s is not None
    assert 0.0 < error.retry_delay_s <= 2.0


async def test_a_stream_waits_until_its_key_may_go_on() -> None:
    now_s = 0.0
    principal = Principal(record(calls_per_s=100.0)[0], lambda: now_s)
    for _ in range(100):
        await principal.wait()
    waiting = asyncio.create_task(principal.wait())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    now_s = 1.0
    await waiting


async def test_probes_have_a_port_without_tls_and_keys(tmp_path: Path) -> None:
    keys.write(tmp_path / "keys.json", [])
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    tls = TlsFiles(certificate=tmp_path / "a.pem", key=tmp_path / "a.key")
    (tmp_path / "a.pem").write_bytes(made.cert_chain_pems[0].bytes())
    made.private_key_pem.write_to_path(str(tmp_path / "a.key"))
    server = Server(ServerOptions(tls=tls, keys_file=tmp_path / "keys.json", health_port=0), [])
    await server.start()
    request = health_pb2.HealthCheckRequest()
    async with aio_channel(f"127.0.0.1:{server.health_port}", ChannelOptions()) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        before = await stub.Check(request)
        await server.set_serving(True)
        after = await stub.Check(request)
        other: Any = collection_pb2_grpc.CollectionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            await other.DeleteAlias(collection_pb2.DeleteAliasRequest())
    await server.stop()

    assert (before.status, after.status) == (
        health_pb2.HealthCheckResponse.NOT_SERVING,
        health_pb2.HealthCheckResponse.SERVING,
    )
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_certificate_that_is_swapped_under_load_fails_no_call(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def issue(name: str) -> TlsFiles:
        made = authority.issue_cert("127.0.0.1")
        chain, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        chain.write_bytes(made.cert_chain_pems[0].bytes())
        made.private_key_pem.write_to_path(str(key))
        return TlsFiles(ca=tmp_path / "ca.pem", certificate=chain, key=key)

    request = collection_pb2.DeleteAliasRequest(alias="a")
    before = issue("server").certificate
    assert before is not None
    first = before.read_bytes()
    client = ChannelOptions(tls=issue("client"))
    async with serving(ServerOptions(tls=issue("server"))) as port:
        target = f"127.0.0.1:{port}"
        async with aio_channel(target, client) as kept:
            held: Any = collection_pb2_grpc.CollectionServiceStub(kept)
            for turn in range(60):
                if turn % 10 == 5:
                    issue("server")
                    issue("client")
                await held.DeleteAlias(request)
                async with aio_channel(target, client) as fresh:
                    stub: Any = collection_pb2_grpc.CollectionServiceStub(fresh)
                    await stub.DeleteAlias(request)
    assert before.read_bytes() != first


async def test_a_server_without_a_certificate_and_its_key_does_not_start(tmp_path: Path) -> None:
    authority = trustme.CA()
    one, two = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "a.pem", tmp_path / "b.key"
    chain.write_bytes(one.cert_chain_pems[0].bytes())
    two.private_key_pem.write_to_path(str(key))

    with pytest.raises(SettingsInvalid, match="fit together"):
        async with serving(ServerOptions(tls=TlsFiles(certificate=chain, key=key))):
            pass
    with pytest.raises(InvalidField, match="no certificate and its key"):
        aio_channel("127.0.0.1:1", ChannelOptions(tls=TlsFiles(certificate=chain, key=key)))
