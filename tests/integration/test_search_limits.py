"""Bad input over a real socket: what is at a limit passes, one past it is refused."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import struct_pb2

from lookalike.v1 import image_pb2
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import Reason
from lookalike.wire.status import from_item_error
from tests.integration.search_server import SearchServer, item, metadata, packed, refused, running

E1 = packed([1.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("limits")) as one:
        one.create("c", 3)
        one.upsert("c", [item("a", [1, 0, 0]), item("b", [0, 1, 0])])
        yield one


def search(server: SearchServer, **fields: Any) -> spb.SearchResponse:
    fields.setdefault("collection", "c")
    fields.setdefault("queries", [spb.Query(vector_f32_le=E1)])
    return server.search.Search(spb.SearchRequest(**fields))


def vector_query(*components: float) -> spb.Query:
    return spb.Query(vector_f32_le=struct.pack(f"<{len(components)}f", *components))


def examples(positives: int, negatives: int) -> spb.Query:
    return spb.Query(
        examples=spb.Examples(
            positives=[spb.Example(vector_f32_le=E1)] * positives,
            negatives=[spb.Example(vector_f32_le=packed([0, 1, 0]))] * negatives,
        )
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"queries": [spb.Query(vector_f32_le=E1)] * 256},
        {"limit": 10_000},
        {"limit": 10_000, "queries": [spb.Query(vector_f32_le=E1)] * 10},
        {"limit": 0},
        {"expansion_search": 16},
        {"expansion_search": 4_000},
        {"exclude_ids": [f"x{i}" for i in range(10_000)]},
        {"exclude_ids": ["x" * 512]},
        {"queries": [examples(64, 64)]},
        {"min_score": -1.0},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_search_at_a_limit_passes(server: SearchServer, fields: dict[str, Any]) -> None:
    response = search(server, **fields)
    assert all(result.hits for result in response.results)


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"queries": []}, Reason.INVALID_FIELD, "queries"),
        ({"queries": [vector_query(1, 0, 0)] * 257}, Reason.LIMIT_EXCEEDED, "queries"),
        ({"limit": 10_001}, Reason.LIMIT_EXCEEDED, "limit"),
        (
            {"limit": 9_091, "queries": [vector_query(1, 0, 0)] * 11},
            Reason.LIMIT_EXCEEDED,
            "limit",
        ),
        (
            {
                "limit": 100,
                "queries": [vector_query(1, 0, 0)] * 11,
                "group_by": spb.GroupBy(field="kind", hits_per_group=91),
            },
            Reason.LIMIT_EXCEEDED,
            "limit",
        ),
        ({"expansion_search": 15}, Reason.INVALID_FIELD, "expansion_search"),
        ({"expansion_search": 4_001}, Reason.LIMIT_EXCEEDED, "expansion_search"),
        ({"exclude_ids": ["x"] * 10_001}, Reason.LIMIT_EXCEEDED, "exclude_ids"),
        ({"exclude_ids": ["x", "y" * 513]}, Reason.LIMIT_EXCEEDED, "exclude_ids[1]"),
        ({"min_score": float("nan")}, Reason.INVALID_FIELD, "min_score"),
        ({"queries": [spb.Query()]}, Reason.INVALID_FIELD, "queries[0]"),
        (
            {"queries": [vector_query(1, 0, 0), vector_query(1, 0)]},
            Reason.DIMENSION_MISMATCH,
            "queries[1].vector_f32_le",
        ),
        (
            {"queries": [spb.Query(vector_f32_le=b"12345")]},
            Reason.INVALID_FIELD,
            "queries[0].vector_f32_le",
        ),
        (
            {"queries": [vector_query(1, 0, 0)] * 2 + [vector_query(float("nan"), 0, 0)]},
            Reason.VECTOR_NOT_FINITE,
            "queries[2].vector_f32_le",
        ),
        (
            {"queries": [vector_query(float("inf"), 0, 0)]},
            Reason.VECTOR_NOT_FINITE,
            "queries[0].vector_f32_le",
        ),
        (
            {"queries": [vector_query(0, 0, 0)]},
            Reason.VECTOR_NOT_FINITE,
            "queries[0].vector_f32_le",
        ),
        ({"queries": [spb.Query(id="nobody")]}, Reason.ITEM_NOT_FOUND, "queries[0].id"),
        ({"queries": [spb.Query(id="a\n")]}, Reason.INVALID_FIELD, "queries[0].id"),
        (
            {"queries": [spb.Query(image=b"picture")]},
            Reason.MODEL_MISMATCH,
            "queries[0].image",
        ),
        (
            {"queries": [examples(0, 1)]},
            Reason.INVALID_FIELD,
            "queries[0].examples.positives",
        ),
        (
            {"queries": [examples(65, 0)]},
            Reason.LIMIT_EXCEEDED,
            "queries[0].examples.positives",
        ),
        (
            {"queries": [examples(1, 65)]},
            Reason.LIMIT_EXCEEDED,
            "queries[0].examples.negatives",
        ),
        ({"collection": "elsewhere"}, Reason.COLLECTION_NOT_FOUND, "collection"),
        ({"collection": ""}, Reason.INVALID_FIELD, "collection"),
    ],
)
def test_a_search_past_a_limit_is_refused(
    server: SearchServer, fields: dict[str, Any], reason: Reason, path: str
) -> None:
    with refused() as errors:
        search(server, **fields)
    assert errors[0].reason is reason
    # A status of FAILED_PRECONDITION or NOT_FOUND carries its field as well.
    assert errors[0].field == path
    assert errors[0].message


def test_examples_that_cancel_out_have_no_direction(server: SearchServer) -> None:
    query = spb.Query(
        examples=spb.Examples(
            positives=[spb.Example(vector_f32_le=packed(v)) for v in ([1, 0, 0], [-1, 0, 0])]
        )
    )
    with refused() as errors:
        search(server, queries=[query])
    assert errors[0].field == "queries[0].examples"


def nested(levels: int) -> struct_pb2.Struct:
    value: dict[str, Any] = {"leaf": 1}
    for _ in range(levels - 1):
        value = {"down": value}
    return metadata(**value)


# {"text":"…"} is 11 bytes around the text.
AT_16_KIB = "x" * (16 * 1024 - 11)


@pytest.mark.parametrize(
    "given",
    [
        item("i" * 512, [1, 0, 0]),
        item("é" * 256, [1, 0, 0]),
        item("whole", [1, 0, 0], metadata=metadata(text=AT_16_KIB)),
        item("deep", [1, 0, 0], metadata=nested(8)),
        # A tag and a length of two bytes stand before the text.
        item("facts", [1, 0, 0], facts=image_pb2.ImageFacts(format="x" * (4_096 - 3))),
        item("empty", [1, 0, 0], metadata=struct_pb2.Struct()),
        item("long", [3e19, 4e19, 0]),
    ],
    ids=lambda given: given.id[:5],
)
def test_an_item_at_a_limit_is_stored(server: SearchServer, given: spb.VectorUpsert) -> None:
    (result,) = server.upsert("c", [given])
    assert result.status == spb.MUTATION_STATUS_APPLIED


@pytest.mark.parametrize(
    ("given", "reason", "path"),
    [
        (item("", [1, 0, 0]), Reason.INVALID_FIELD, "id"),
        (item("i" * 513, [1, 0, 0]), Reason.LIMIT_EXCEEDED, "id"),
        (item("é" * 257, [1, 0, 0]), Reason.LIMIT_EXCEEDED, "id"),
        (item("tab\there", [1, 0, 0]), Reason.INVALID_FIELD, "id"),
        (item("\x85", [1, 0, 0]), Reason.INVALID_FIELD, "id"),
        (item("x", [1, 0]), Reason.DIMENSION_MISMATCH, "vector_f32_le"),
        (item("x", [1, 0, 0, 0]), Reason.DIMENSION_MISMATCH, "vector_f32_le"),
        (item("x", []), Reason.INVALID_FIELD, "vector_f32_le"),
        (item("x", [float("nan"), 0, 0]), Reason.VECTOR_NOT_FINITE, "vector_f32_le"),
        (item("x", [float("-inf"), 0, 0]), Reason.VECTOR_NOT_FINITE, "vector_f32_le"),
        (item("x", [0, 0, 0]), Reason.VECTOR_NOT_FINITE, "vector_f32_le"),
        (
            item("x", [1, 0, 0], metadata=metadata(text=AT_16_KIB + "x")),
            Reason.LIMIT_EXCEEDED,
            "metadata",
        ),
        (item("x", [1, 0, 0], metadata=nested(9)), Reason.LIMIT_EXCEEDED, "metadata"),
        (
            item("x", [1, 0, 0], metadata=metadata(n=float("nan"))),
            Reason.INVALID_FIELD,
            "metadata",
        ),
        (
            item("x", [1, 0, 0], metadata=metadata(n=[float("inf")])),
            Reason.INVALID_FIELD,
            "metadata",
        ),
        (
            item("x", [1, 0, 0], facts=image_pb2.ImageFacts(format="x" * (4_096 - 2))),
            Reason.LIMIT_EXCEEDED,
            "facts",
        ),
    ],
)
def test_a_bad_item_is_refused_and_the_others_go_on(
    server: SearchServer, given: spb.VectorUpsert, reason: Reason, path: str
) -> None:
    first, bad, last = server.upsert(
        "c", [item("before", [1, 1, 0]), given, item("after", [1, 1, 0])]
    )
    assert [first.status, last.status] == [spb.MUTATION_STATUS_APPLIED] * 2
    error = from_item_error(bad.error)
    assert (bad.status, error.reason) == (spb.MUTATION_STATUS_UNSPECIFIED, reason)
    assert error.field == f"items[1].{path}"
    assert not bad.error.retryable


@pytest.mark.parametrize(
    ("count", "reason"), [(0, Reason.INVALID_FIELD), (1_001, Reason.LIMIT_EXCEEDED)]
)
def test_messages_hold_1_to_1000_items(server: SearchServer, count: int, reason: Reason) -> None:
    with refused() as errors:
        server.upsert("c", [item("x", [1, 0, 0])] * count)
    assert (errors[0].reason, errors[0].field) == (reason, "items")
    with refused() as errors:
        server.search.DeleteItems(
            spb.DeleteItemsRequest(collection="c", items=[spb.ItemDelete(id="x")] * count)
        )
    assert (errors[0].reason, errors[0].field) == (reason, "items")
    with refused() as errors:
        server.search.UpdateMetadata(
            spb.UpdateMetadataRequest(collection="c", updates=[spb.MetadataUpdate(id="x")] * count)
        )
    assert (errors[0].reason, errors[0].field) == (reason, "updates")
    with refused() as errors:
        server.search.GetItems(spb.GetItemsRequest(collection="c", ids=["x"] * count))
    assert (errors[0].reason, errors[0].field) == (reason, "ids")


def test_a_message_of_1000_items_passes(server: SearchServer) -> None:
    server.create("thousand", 3)
    results = server.upsert("thousand", [item(f"i{i}", [1, i, 0]) for i in range(1_000)])
    assert {result.status for result in results} == {spb.MUTATION_STATUS_APPLIED}
