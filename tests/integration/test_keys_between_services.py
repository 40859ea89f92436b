"""A service that refuses the key of another: nothing is lost for it, and callers are told whose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from prometheus_client import CollectorRegistry

from embedder_service.worker.applier import Applier
from embedder_service.worker.clients import EmbedderClient, SearchClient
from embedder_service.worker.metrics import WorkerMetrics
from embedder_service.worker.next_step import NextStep, next_step_after
from embedder_service.worker.protocols import KeyRefused, PeerLost
from embedder_service.worker.stats import Stats
from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.serving.server import Server, ServerOptions
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc, search_pb2, search_pb2_grpc
from lookalike.wire import keys
from lookalike.wire.channel import ChannelOptions, TlsFiles, aio_channel
from lookalike.wire.errors import PermissionDenied, Reason, Unavailable
from lookalike.wire.keys import Scope
from lookalike.wire.tokens import GivenToken
from search_service.embedders import Embedders
from tests.integration.ingest.model import FakeIndex
from tests.integration.keyed import KeyFile
from tests.integration.test_search_images import MODEL, ByteEmbedder, image


class Store(search_pb2_grpc.SearchServiceServicer):
    """Is never reached."""


@asynccontextmanager
async def serving(file: KeyFile) -> AsyncIterator[tuple[Server, str]]:
    names = ["lookalike.v1.EmbedderService", "lookalike.v1.SearchService"]
    server = Server(ServerOptions(keys_file=file.path, grace_s=0.1), names)
    embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(ByteEmbedder(), server.grpc)
    search_pb2_grpc.add_SearchServiceServicer_to_server(
        Store(),  # type: ignore[abstract]  # as said
        server.grpc,
    )
    port = await server.start()
    try:
        yield server, f"127.0.0.1:{port}"
    finally:
        await server.stop()


def change(server: Server, records: list[keys.KeyRecord], path: Path) -> None:
    """Write the file of keys, and have the service look at it now."""
    keys.write(path, records)
    store = server._keys  # the clock that it looks by is not the test's
    assert store is not None
    store._looked_s -= 2.0


async def test_a_caller_is_told_that_it_is_not_its_own_key(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    options = ChannelOptions(token=GivenToken(file.add("search", frozenset({Scope.READ}))))
    records = list(keys.read(file.path))
    pairs = [(image(1, 0, 0, 0), "queries[0].image")]
    async with serving(file) as (server, address):
        early, late = Embedders([address], options), Embedders([address], options)
        assert len(await early.embed_all(pairs, MODEL.fingerprint, 4, None)) == 1
        change(server, [], file.path)
        for _ in range(2):
            for embedders in (early, late):
                with pytest.raises(Unavailable, match="--token-file") as told:
                    await embedders.embed_all(pairs, MODEL.fingerprint, 4, None)
                assert told.value.reason is Reason.EMBEDDER_UNAVAILABLE
        with pytest.raises(Unavailable, match="--token-file"):
            await early.describe("")
        change(server, records, file.path)
        assert len(await early.embed_all(pairs, MODEL.fingerprint, 4, None)) == 1
        await early.close()
        await late.close()


async def test_a_worker_is_not_ready_while_its_key_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = KeyFile(tmp_path / "keys.json")
    token = file.add("worker")
    records = list(keys.read(file.path))
    keys.write(file.path, [])
    async with serving(file) as (server, address):
        await server.set_serving(True)
        options = ChannelOptions(token=GivenToken(token))
        async with aio_channel(address, options) as channel:
            clients = (SearchClient(channel, 5.0), EmbedderClient(channel, 5.0))
            for client in clients:
                client.start()
                while not client.refusal:
                    await asyncio.sleep(0.001)
                assert not client.ready
                assert "--token-file" in client.refusal
            change(server, records, file.path)
            for client in clients:
                await client.wait_ready()
                assert client.refusal == ""
                await client.close()
    said = [line for line in caplog.records if line.getMessage() == "cannot be worked with"]
    assert len(said) == len(clients)


async def test_a_certificate_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    made = theirs.issue_cert("127.0.0.1")
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "a.pem"))
    made.private_key_pem.write_to_path(str(tmp_path / "a.key"))
    tls = TlsFiles(certificate=tmp_path / "a.pem", key=tmp_path / "a.key")
    server = Server(ServerOptions(tls=tls, grace_s=0.1), [])
    port = await server.start()
    options = ChannelOptions(tls=TlsFiles(ca=tmp_path / "ca.pem"))
    async with aio_channel(f"127.0.0.1:{port}", options) as channel:
        client = EmbedderClient(channel, 5.0)
        client.start()
        while not client.refusal:
            await asyncio.sleep(0.001)
        applier = Applier(
            client,
            FakeIndex(),
            max_embeds_in_flight=1,
            stats=Stats(),
            metrics=WorkerMetrics(CollectorRegistry()),
        )
        assert applier.paused_reason.startswith(
            "embedder: the service's certificate is not trusted"
        )
        await client.close()
    embedders = Embedders([f"127.0.0.1:{port}"], options)
    with pytest.raises(Unavailable, match="TLS between"):
        await embedders.embed_all([(image(1, 0, 0, 0), "f")], MODEL.fingerprint, 4, None)
    await embedders.close()
    await server.stop()


@pytest.mark.parametrize("scopes", [None, {Scope.READ}], ids=["revoked", "without its scope"])
async def test_what_a_worker_sends_is_not_given_up_for_its_key(
    scopes: set[Scope] | None, tmp_path: Path
) -> None:
    file = KeyFile(tmp_path / "keys.json")
    token = file.add("worker", frozenset(scopes or Scope))
    if scopes is None:
        file.remove("worker")
    async with serving(file) as (_, address):
        options = ChannelOptions(token=GivenToken(token))
        async with aio_channel(address, options) as channel:
            search = SearchClient(channel, 5.0)
            item = search_pb2.VectorUpsert(id="a", vector_f32_le=b"\0\0\0\0")
            calls: list[Any] = [
                search.upsert("c", item),
                search.update_metadata("c", search_pb2.MetadataUpdate(id="a")),
                search.delete("c", search_pb2.ItemDelete(id="a")),
            ]
            refused = await asyncio.gather(*calls, return_exceptions=True)
            if scopes is None:  # the embedder asks for no scope
                embedder = EmbedderClient(channel, 5.0)
                asked = [embedder.embed(b"x", "") for _ in range(3)]
                refused += await asyncio.gather(*asked, return_exceptions=True)
                await embedder.close()
            await search.close()

    # A stream that is refused while it is written to breaks without a word.
    assert {type(each) for each in refused} <= {KeyRefused, PeerLost}
    assert KeyRefused in {type(each) for each in refused}
    steps = {next_step_after(each) for each in refused if isinstance(each, Unavailable)}
    assert steps <= {NextStep.WAIT, NextStep.TRY_ALONE}


class Refusing:
    """An embedder that refuses the worker's key twice."""

    ready = True
    refusal = ""

    def __init__(self) -> None:
        self.asked = 0

    async def wait_ready(self) -> None:
        return

    async def embed(self, image: bytes, model: str, thumbnail_side_px: int = 0) -> Any:
        self.asked += 1
        if self.asked <= 2:
            raise KeyRefused(PermissionDenied("this API key is too old"))
        return embedder_pb2.Embedding(vector_f32_le=image, model_fingerprint=model)


async def test_an_entry_waits_and_it_is_said_for_what(caplog: pytest.LogCaptureFixture) -> None:
    embedder: Any = Refusing()
    metrics = WorkerMetrics(CollectorRegistry())
    applier = Applier(embedder, FakeIndex(), max_embeds_in_flight=2, stats=Stats(), metrics=metrics)
    mutation = QueuedMutation("c", "a", Kind.UPLOAD, 1, 0, image=b"x", model_fingerprint="m")
    applying = asyncio.create_task(applier.apply(mutation))
    while embedder.asked < 1:
        await asyncio.sleep(0.001)
    reason = applier.paused_reason
    result = await applying

    assert "too old" in reason
    assert "--token-file" in reason
    assert (result.status, embedder.asked) == (search_pb2.MUTATION_STATUS_APPLIED, 3)
    assert applier.paused_reason == ""
    said = [line for line in caplog.records if line.getMessage() == "an API key is refused"]
    assert len(said) == 1
