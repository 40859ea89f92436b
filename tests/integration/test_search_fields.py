"""Groups, orders, facets and fields over a real socket, and through both clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import InvalidField, Reason
from lookalike_client import AsyncClient, Client, Fields, Query, VectorItem
from lookalike_client.cli.main import run
from tests.integration.search_server import SearchServer, packed, refused, running

COLOURS = ["red", "blue", "red", "green", "red", "blue"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("fields"), "--threads", "1") as one:
        one.create("c", 3)
        with Client(f"127.0.0.1:{one.port}") as client:
            items = [
                VectorItem(f"i{n}", [1, n / 10, 0], {"colour": colour, "n": n, "on": n % 2 == 0})
                for n, colour in enumerate(COLOURS)
            ]
            items.append(VectorItem("plain", [1, 0.01, 0], {}))
            assert all(not each.error for each in client.upsert_vectors("c", items))
        yield one


@pytest.fixture
def client(server: SearchServer) -> Iterator[Client]:
    with Client(f"127.0.0.1:{server.port}") as connected:
        yield connected


def search(server: SearchServer, **fields: Any) -> spb.QueryResult:
    query = spb.Query(vector_f32_le=packed([1, 0, 0]))
    return server.search.Search(
        spb.SearchRequest(collection="c", queries=[query], **fields)
    ).results[0]


def test_groups_by_their_best_hits(client: Client) -> None:
    result = client.search(
        "c", Query.by_vector([1, 0, 0]), limit=2, group_by="colour", hits_per_group=2
    )
    found = [(group.value, [hit.id for hit in group.hits]) for group in result.groups]
    assert found == [("red", ["i0", "i2"]), ("blue", ["i1", "i5"])]
    assert not result.hits
    assert result.groups[0].hits[1].metadata["n"] == 2


def test_metadata_comes_as_a_message_or_as_text(server: SearchServer) -> None:
    wanted = {"colour": "red", "n": 0, "on": True}
    as_json = spb.ItemFields(metadata=True, metadata_as_json=True)
    picked = spb.ItemFields(metadata=True, metadata_as_json=True, metadata_fields=["n"])
    plain = spb.ItemFields(metadata=True)

    def items(fields: spb.ItemFields) -> Iterator[spb.Item]:
        yield search(server, fields=fields).hits[0].item
        by = spb.GroupBy(field="colour")
        yield search(server, fields=fields, group_by=by).groups[0].hits[0].item
        got = spb.GetItemsRequest(collection="c", ids=["i0"], fields=fields)
        yield server.search.GetItems(got).items[0]
        yield server.search.ListItems(spb.ListItemsRequest(collection="c", fields=fields)).items[0]
        order = spb.ItemOrder(field="n")
        ordered = spb.ListItemsRequest(collection="c", fields=fields, order=order)
        yield server.search.ListItems(ordered).items[0]

    for item in items(as_json):
        assert json.loads(item.metadata_json) == wanted
        assert not item.HasField("metadata")
    for item in items(picked):
        assert json.loads(item.metadata_json) == {"n": 0}
    for item in items(plain):
        assert not item.metadata_json
        assert dict(item.metadata) == wanted
    for item in items(spb.ItemFields(metadata_as_json=True)):
        assert not item.metadata_json
        assert not item.HasField("metadata")


def test_the_fields_that_are_asked_for(client: Client) -> None:
    fields = Fields(metadata_fields=["colour", "nowhere"])
    result = client.search("c", Query.by_id("i0"), limit=3, filter="n >= 0", fields=fields)
    assert [hit.metadata for hit in result.hits] == [{"colour": c} for c in COLOURS[1:4]]
    assert client.get("c", ["i1"], fields=fields).items[0].metadata == {"colour": "blue"}


def test_lists_in_order_of_a_field(client: Client) -> None:
    ids = [item.id for item in client.list("c", order_by="colour", page_size=2)]
    assert ids == ["i1", "i5", "i3", "i0", "i2", "i4", "plain"]
    ids = [item.id for item in client.list("c", order_by="on", descending=True, page_size=3)]
    assert ids == ["i0", "i2", "i4", "i1", "i3", "i5", "plain"]
    with pytest.raises(InvalidField):
        list(client.list("c", descending=True))


async def test_the_asyncio_client_has_them_too(server: SearchServer) -> None:
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        ids = [item.id async for item in client.list("c", order_by="n", descending=True)]
        assert ids == ["i5", "i4", "i3", "i2", "i1", "i0", "plain"]
        found = await client.facets("c", "colour", filter="n < 5", limit=2)
        assert found.counts == [("red", 3), ("blue", 1)]
        assert (found.items, found.missing, found.other, found.values) == (5, 0, 1, 3)
        result = await client.search("c", Query.by_vector([1, 0, 0]), group_by="on")
        assert [(group.value, group.hits[0].id) for group in result.groups] == [
            (True, "i0"),
            (False, "i1"),
        ]


def test_facets_say_what_is_missing(client: Client) -> None:
    found = client.facets("c", "on")
    assert found.counts == [(False, 3), (True, 3)]
    assert (found.items, found.missing, found.other, found.values) == (7, 1, 0, 2)


def test_the_command_line(server: SearchServer, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--address", f"127.0.0.1:{server.port}", "--json"]
    assert run(["facets", "colour", "-c", "c", *at]) == 0
    assert json.loads(capsys.readouterr().out)["facets"][0] == {"value": "red", "count": 3}
    assert run(["list", "-c", "c", "--order-by", "n", "--desc", "--filter", "n < 2", *at]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["i1", "i0"]
    query = ["search", "--id", "i0", "-c", "c", "--group-by", "colour", "--explain", *at]
    assert run(query) == 0
    document = json.loads(capsys.readouterr().out)
    assert [group["value"] for group in document["groups"]] == ["blue", "red", "green"]
    assert document["plan"]["items"] == 7
    assert run(["list", "-c", "c", "--desc", *at]) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"group_by": spb.GroupBy(field="colour", hits_per_group=100), "limit": 100},
        {"group_by": spb.GroupBy(field="colour"), "limit": 10_000},
        {"fields": spb.ItemFields(metadata=True, metadata_fields=["n"] * 64)},
    ],
)
def test_a_search_at_a_limit_passes(server: SearchServer, fields: dict[str, Any]) -> None:
    result = search(server, **fields)
    assert result.hits or result.groups


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"group_by": spb.GroupBy(field="n", hits_per_group=101)}, "group_by.hits_per_group"),
        (
            {"group_by": spb.GroupBy(field="n", hits_per_group=100), "limit": 101},
            "group_by.hits_per_group",
        ),
        ({"group_by": spb.GroupBy()}, "group_by.field"),
        ({"group_by": spb.GroupBy(field="a..b")}, "group_by.field"),
        ({"fields": spb.ItemFields(metadata_fields=["n"] * 65)}, "fields.metadata_fields"),
        ({"fields": spb.ItemFields(metadata_fields=["n", ""])}, "fields.metadata_fields[1]"),
    ],
)
def test_a_search_past_a_limit_is_refused(
    server: SearchServer, fields: dict[str, Any], path: str
) -> None:
    with refused() as errors:
        search(server, **fields)
    assert errors[0].field == path


def test_limits_of_facets(server: SearchServer) -> None:
    def ask(**fields: Any) -> spb.CountFacetsResponse:
        return server.search.CountFacets(spb.CountFacetsRequest(collection="c", **fields))

    assert len(ask(field="n", limit=1_000).facets) == 6
    for fields, path in (({"field": "n", "limit": 1_001}, "limit"), ({"field": ""}, "field")):
        with refused() as errors:
            ask(**fields)
        assert errors[0].field == path


def test_a_token_is_good_for_its_order_only(server: SearchServer) -> None:
    def page(token: str = "", **order: Any) -> spb.ListItemsResponse:
        return server.search.ListItems(
            spb.ListItemsRequest(
                collection="c", page_size=2, order=spb.ItemOrder(**order), page_token=token
            )
        )

    token = page(field="n").next_page_token
    assert [item.id for item in page(token, field="n").items] == ["i2", "i3"]
    for order in ({"field": "n", "descending": True}, {"field": "colour"}):
        with refused() as errors:
            page(token, **order)
        assert errors[0].reason is Reason.PAGE_TOKEN_INVALID
    with refused() as errors:
        page(field="")
    assert errors[0].field == "order.field"
