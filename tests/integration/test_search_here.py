"""The service with its real wiring in the process of the test: each method of the contract."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import grpc
import pytest

from lookalike.v1 import collection_pb2 as collections
from lookalike.v1 import search_pb2 as spb
from search_service.__main__ import service
from search_service.settings import load
from tests.integration.keyed import Caller, calling
from tests.integration.search_server import item, metadata
from tests.integration.tenant_requests import SECRET, analyses, asked

# What a process without a queue and without a cluster does not serve.
ELSEWHERE = ("IngestService/", "ReembeddingService/", "ClusterService/")
# They take away what the others are asked about, in this order.
LAST = [
    "SearchService/DeleteItems",
    "SearchService/DeleteByFilter",
    "CollectionService/DeleteAlias",
    "CollectionService/DeleteCollection",
]
# Some of what is asked for is not there, and there is no embedder.
MAY_FAIL = {
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "UNAVAILABLE",
}


def filled(caller: Caller) -> None:
    create = collections.CreateCollectionRequest(name="c", dimension=4, external_vectors=True)
    caller.call("CollectionService/CreateCollection", create)
    caller.call(
        "CollectionService/SetAlias", collections.SetAliasRequest(alias="d", collection="c")
    )
    items = [
        item(
            f"{SECRET}-{n}",
            [1.0, 0.02 * n, 0.1, 0],
            metadata=metadata(tenant="b", word=SECRET, label=f"{SECRET}-{n % 2}"),
        )
        for n in range(20)
    ]
    caller.call(
        "SearchService/UpsertVectors", [spb.UpsertVectorsRequest(collection="c", items=items)]
    )


def code(caller: Caller, method: str, request: Any) -> str:
    try:
        caller.call(method, request)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def codes(port: int) -> dict[str, set[str]]:
    with calling(port, None) as caller:
        filled(caller)
        tried = asked(f"{SECRET}-3")
        for method, request in analyses().items():
            tried.setdefault(method, []).append(request)
        # The embedder is a process of its own.
        here = [each for each in tried if not each.startswith("EmbedderService/")]
        return {
            method: {code(caller, method, request) for request in tried[method]}
            for method in [each for each in here if each not in LAST] + LAST
        }


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    return load(["--data", str(tmp_path / "data"), "--port", "0", "--metrics-port", "0"])


async def test_every_method_answers_or_says_what_is_wrong(settings: Any) -> None:
    settings.data.mkdir()
    async with service(settings) as (server, drain, port):
        found = await asyncio.to_thread(codes, port)
        drain()
        await server.stop()
    gc.unfreeze()  # what the service set aside is this process's own

    wrong = {
        method: got
        for method, got in found.items()
        if got - {"OK", *MAY_FAIL} and not method.startswith(ELSEWHERE)
    }
    assert wrong == {}
    elsewhere = [got for method, got in found.items() if method.startswith(ELSEWHERE)]
    assert elsewhere
    assert all(got == {"UNIMPLEMENTED"} for got in elsewhere)
    assert sum("OK" in got for got in found.values()) >= 25
