"""What clients ask of a cluster, and what they say of an answer that lacks partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from lookalike.v1 import search_pb2, search_pb2_grpc
from lookalike_client import AsyncClient, Client, InvalidField, PartialAnswer, Query, VectorItem
from tests.unit.lookalike_client.cli.running import ran

LACKING = PartialAnswer(partitions=4, missing_partitions=[1, 3])


class _Front(search_pb2_grpc.SearchServiceServicer):
    """Lacks two of four partitions, as far as it may."""

    def Search(
        self, request: search_pb2.SearchRequest, context: grpc.ServicerContext
    ) -> search_pb2.SearchResponse:
        hit = search_pb2.Hit(id=str(request.read_position), score=1.0)
        result = search_pb2.QueryResult(hits=[hit])
        response = search_pb2.SearchResponse(results=[result] * len(request.queries))
        if request.allow_partial:
            response.partial.partitions = LACKING.partitions
            response.partial.missing_partitions.extend(LACKING.missing_partitions)
        return response

    def UpsertVectors(
        self,
        request_iterator: Iterator[search_pb2.UpsertVectorsRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[search_pb2.UpsertVectorsResponse]:
        for request in request_iterator:
            results = [_applied(each.id) for each in request.items]
            yield search_pb2.UpsertVectorsResponse(results=results, position=70)

    def UpdateMetadata(
        self, request: search_pb2.UpdateMetadataRequest, context: grpc.ServicerContext
    ) -> search_pb2.UpdateMetadataResponse:
        results = [_applied(each.id) for each in request.updates]
        return search_pb2.UpdateMetadataResponse(results=results, position=80)

    def DeleteItems(
        self, request: search_pb2.DeleteItemsRequest, context: grpc.ServicerContext
    ) -> search_pb2.DeleteItemsResponse:
        results = [_applied(each.id) for each in request.items]
        return search_pb2.DeleteItemsResponse(results=results, position=2**40)


def _applied(item_id: str) -> search_pb2.MutationResult:
    return search_pb2.MutationResult(id=item_id, status=search_pb2.MUTATION_STATUS_APPLIED)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    front = _Front()  # type: ignore[abstract] # it has the methods that are called here
    search_pb2_grpc.add_SearchServiceServicer_to_server(front, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_each_result_names_the_partitions_that_it_lacks(address: str) -> None:
    queries = [Query.by_id("a"), Query.by_id("b")]
    with Client(address) as client:
        partial = client.search_many("c", queries, allow_partial=True)
        page = next(client.search_pages("c", queries[0], allow_partial=True))
        whole = client.search("c", queries[0])
    assert [each.partial for each in (*partial, page)] == [LACKING] * 3
    assert whole.partial is None


def test_the_position_of_an_acknowledgement_is_what_a_search_is_given(address: str) -> None:
    with Client(address) as client:
        acknowledged = [
            *client.upsert_vectors("c", [VectorItem("a", [1.0])]),
            *client.update_metadata("c", {"a": {"n": 1}}),
            *client.delete("c", ["a"]),
        ]
        assert [each.position for each in acknowledged] == [70, 80, 2**40]
        newest = max(each.position for each in acknowledged)
        found = client.search("c", Query.by_id("a"), read_position=newest)
        assert found.hits[0].id == str(newest)
        with pytest.raises(InvalidField) as refused:
            client.search("c", Query.by_id("a"), read_position=-1)
        assert refused.value.field == "read_position"


def test_the_asyncio_client_says_the_same(address: str) -> None:
    async def ask() -> tuple[PartialAnswer | None, str]:
        async with AsyncClient(address) as client:
            query = Query.by_id("a")
            found = await client.search("c", query, allow_partial=True, read_position=5)
            return found.partial, found.hits[0].id

    assert asyncio.run(ask()) == (LACKING, "5")


def test_the_command_says_what_its_answer_lacks(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ("search", "--address", address, "--id", "a")
    told = ran(capsys, *search, "--allow-partial")
    assert "lacks partitions 1, 3 of 4" in " ".join(told.out.split())
    document = ran(capsys, *search, "--allow-partial", "--json").json
    assert document["partial"] == {"partitions": 4, "missing_partitions": [1, 3]}
    assert "lacks" not in ran(capsys, *search).out
