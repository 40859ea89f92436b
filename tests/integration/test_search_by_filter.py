"""Deletions and changes by filter over a real socket: broken off, killed, beside other calls."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from lookalike.v1 import filter_pb2
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import Reason
from lookalike.wire.status import from_rpc_error
from lookalike_client import AsyncClient, Client, Query, VectorItem
from tests.integration.search_server import SearchServer, item, metadata, refused, running

DIMENSION = 8
ITEMS = 6_000
VECTORS = np.random.default_rng(4).normal(size=(ITEMS, DIMENSION)).astype(np.float32)
HALF = f"n < {ITEMS // 2}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("by-filter")) as started:
        yield started


@pytest.fixture
def client(server: SearchServer) -> Iterator[Client]:
    with Client(f"127.0.0.1:{server.port}") as connected:
        yield connected
        for collection in list(connected.collections.list()):
            connected.collections.delete(collection.name)


def fill(client: Client, name: str = "c") -> None:
    client.collections.create(name, model=None, dimension=DIMENSION)
    items = [VectorItem(f"i{n}", VECTORS[n], {"n": n}) for n in range(ITEMS)]
    results = list(client.upsert_vectors(name, items, batch_items=500))
    assert all(each.error is None for each in results)


def expression(text: str) -> filter_pb2.Filter:
    return filter_pb2.Filter(expression=text)


def settled(client: Client) -> int:
    """The count once nothing changes it any more."""
    counts = [client.count("c")]
    while len(counts) < 3 or len(set(counts[-3:])) > 1:
        time.sleep(0.2)
        counts.append(client.count("c"))
    return counts[-1]


def test_it_is_counted_first_and_told_as_it_goes(client: Client) -> None:
    fill(client)

    told = list(client.delete_by_filter("c", HALF))

    assert (told[0].matched, told[0].items, told[0].deleted) == (ITEMS // 2, ITEMS, 0)
    deleted = [each.deleted for each in told]
    assert deleted == sorted(deleted)
    assert max(np.diff(deleted)) <= 128
    assert deleted[-1] == ITEMS // 2
    assert [each.done for each in told] == [False] * (len(told) - 1) + [True]
    left = [each.id for each in client.list("c")]
    assert left == sorted(f"i{n}" for n in range(ITEMS // 2, ITEMS))


def test_the_asyncio_client_does_the_same(server: SearchServer, client: Client) -> None:
    fill(client)

    async def change() -> tuple[list[int], int]:
        async with AsyncClient(f"127.0.0.1:{server.port}") as other:
            told = [
                each.updated
                async for each in other.update_by_filter("c", {"n": None, "m": 1}, HALF)
            ]
            stopped = other.delete_by_filter("c", "m = 1")
            async for each in stopped:
                if each.deleted:
                    break
            return told, each.deleted

    updated, deleted = asyncio.run(change())

    assert (updated[0], updated[-1]) == (0, ITEMS // 2)
    assert client.count("c", filter="exists(n)") == ITEMS // 2
    assert 0 < deleted <= ITEMS - settled(client) < ITEMS // 2


def test_leaving_it_stops_it_within_a_batch(server: SearchServer, client: Client) -> None:
    fill(client)
    request = spb.DeleteByFilterRequest(collection="c", filter=expression(HALF))
    call = server.search.DeleteByFilter(request)
    told = [next(call) for _ in range(4)]
    call.cancel()

    left = settled(client)

    # What the server had sent ahead of the cancellation counts as told.
    assert ITEMS // 2 < left <= ITEMS - told[-1].deleted
    rest = list(client.delete_by_filter("c", HALF))
    assert rest[0].matched == left - ITEMS // 2
    assert client.count("c") == ITEMS // 2


def test_a_token_goes_on_with_the_counts_so_far(server: SearchServer, client: Client) -> None:
    fill(client)
    patch = metadata(seen=True)
    request = spb.UpdateByFilterRequest(
        collection="c", filter=expression(HALF), metadata=patch, mode=spb.METADATA_MODE_MERGE
    )
    call = server.search.UpdateByFilter(request)
    told = [next(call) for _ in range(5)]
    call.cancel()
    assert told[0].resume_token == ""
    request.resume_token = told[-1].resume_token

    rest = list(server.search.UpdateByFilter(request))

    assert rest[0].updated + rest[0].unchanged > told[-1].updated
    assert (rest[-1].matched, rest[-1].items) == (ITEMS // 2, ITEMS)
    assert rest[-1].updated + rest[-1].unchanged == ITEMS // 2
    assert rest[-1].done
    assert rest[-1].resume_token == ""
    assert client.count("c", filter="seen = true") == ITEMS // 2
    changes: dict[str, dict[str, Any]] = {
        "filter": {"filter": expression("n < 7")},
        "mode": {"mode": spb.METADATA_MODE_REPLACE},
        "metadata": {"metadata": metadata(seen=False)},
        "token": {"resume_token": told[-1].resume_token[:-2]},
    }
    for name, change in changes.items():
        other = spb.UpdateByFilterRequest()
        other.CopyFrom(request)
        for field in change:
            other.ClearField(field)  # type: ignore[arg-type]  # names of fields
        other.MergeFrom(spb.UpdateByFilterRequest(**change))
        with refused() as errors:
            list(server.search.UpdateByFilter(other))
        assert (errors[0].reason, errors[0].field) == (
            Reason.PAGE_TOKEN_INVALID,
            "resume_token",
        ), name
    deletion = spb.DeleteByFilterRequest(
        collection="c", filter=expression(HALF), resume_token=told[-1].resume_token
    )
    with refused() as errors:
        list(server.search.DeleteByFilter(deletion))
    assert errors[0].reason is Reason.PAGE_TOKEN_INVALID


def test_a_kill_in_the_middle_loses_nothing_that_was_told(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = SearchServer(tmp_path, ["--port", port])
    try:
        with Client(f"127.0.0.1:{port}") as client:
            fill(client)
            told = client.delete_by_filter("c", HALF)
            so_far = [next(told).deleted for _ in range(6)]
            server.kill()
            server = SearchServer(tmp_path, ["--port", port])
            assert client.count("c") <= ITEMS - so_far[-1]
            # The same iterator goes on with the service that is there now.
            rest = list(told)
            assert rest[-1].done
            assert client.count("c", filter=HALF) == 0
            assert client.count("c") == ITEMS // 2
            assert so_far[-1] < rest[-1].deleted <= ITEMS // 2
    finally:
        server.stop()


def test_a_service_that_stops_says_so_after_the_batch(tmp_path: Path) -> None:
    with running(tmp_path, "--grace-s", "60") as server:
        with Client(f"127.0.0.1:{server.port}") as client:
            fill(client)
        request = spb.DeleteByFilterRequest(collection="c", filter=expression(HALF))
        call = server.search.DeleteByFilter(request)
        next(call)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        assert from_rpc_error(caught.value).reason is Reason.NOT_READY
        assert server.process.wait(timeout=30) == 0


def test_searches_and_writes_go_on_beside_it(server: SearchServer, client: Client) -> None:
    """Items that are given other metadata meanwhile, so that they meet it no more, stay."""
    fill(client)
    saved = [f"i{n}" for n in range(ITEMS // 2 - 1, ITEMS // 2 - 400, -1)]
    told = client.delete_by_filter("c", HALF)
    assert next(told).deleted == 0
    done = threading.Event()
    wrong: list[str] = []

    def search() -> None:
        with Client(f"127.0.0.1:{server.port}") as other:
            while not done.is_set():
                for hit in other.search("c", Query.by_vector(VECTORS[7]), filter=HALF).hits:
                    number = hit.metadata["n"]
                    assert isinstance(number, int)
                    wrong.extend([hit.id] if number >= ITEMS // 2 else [])

    thread = threading.Thread(target=search)
    thread.start()
    try:
        updated = client.update_metadata("c", {each: {"n": ITEMS} for each in saved})
        assert all(each.error is None for each in updated)
        server.upsert("c", [item("new", VECTORS[0].tolist(), metadata=metadata(n=1))])
        *_, last = told
    finally:
        done.set()
        thread.join()
    assert wrong == []
    assert last.deleted == ITEMS // 2 - len(saved)
    left = {each.id for each in client.list("c")}
    assert left == {"new", *saved, *(f"i{n}" for n in range(ITEMS // 2, ITEMS))}


def test_two_at_once_delete_each_item_once(server: SearchServer, client: Client) -> None:
    fill(client)
    counts: list[int] = []

    def delete() -> None:
        with Client(f"127.0.0.1:{server.port}") as other:
            counts.append([each.deleted for each in other.delete_by_filter("c", HALF)][-1])

    threads = [threading.Thread(target=delete) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == ITEMS // 2
    assert client.count("c") == ITEMS // 2


def test_a_merge_takes_no_version_and_no_unknown_mode(server: SearchServer, client: Client) -> None:
    client.collections.create("c", model=None, dimension=3)
    server.upsert("c", [item("a", [1, 0, 0], metadata=metadata(k=1))])
    updates = [
        spb.MetadataUpdate(id="a", version=9, mode=spb.METADATA_MODE_MERGE),
        spb.MetadataUpdate(id="a", mode=7),  # type: ignore[arg-type]  # on purpose
        spb.MetadataUpdate(id="a", metadata=metadata(m=2), mode=spb.METADATA_MODE_MERGE),
    ]
    request = spb.UpdateMetadataRequest(collection="c", updates=updates)

    version, mode, merged = server.search.UpdateMetadata(request).results

    assert version.error.field == "updates[0].version"
    assert mode.error.field == "updates[1].mode"
    assert merged.status == spb.MUTATION_STATUS_APPLIED
    assert client.get("c", ["a"]).items[0].metadata == {"k": 1, "m": 2}


def test_merges_of_one_item_by_many_callers_are_all_there(
    server: SearchServer, client: Client
) -> None:
    client.collections.create("c", model=None, dimension=3)
    server.upsert("c", [item("a", [1, 0, 0])])

    def merge(caller: int) -> None:
        with Client(f"127.0.0.1:{server.port}") as other:
            for n in range(20):
                other.update_metadata("c", {"a": {f"{caller}": {f"{n}": n}}}, merge=True)

    threads = [threading.Thread(target=merge, args=(caller,)) for caller in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = {f"{caller}": {f"{n}": n for n in range(20)} for caller in range(4)}
    assert client.get("c", ["a"]).items[0].metadata == want
