"""Items over a real socket: writing, reading, paging, aliases, restarts."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import filter_pb2, image_pb2
from lookalike.v1 import search_pb2 as spb
from lookalike.wire import vectors
from lookalike.wire.errors import Reason
from lookalike.wire.status import from_item_error
from tests.integration.search_server import SearchServer, item, metadata, packed, refused, running

APPLIED = spb.MUTATION_STATUS_APPLIED


def equals(field: str, value: str) -> filter_pb2.Filter:
    return filter_pb2.Filter(
        equals=filter_pb2.FieldEquals(field=field, value=filter_pb2.FilterValue(string_value=value))
    )


def test_acknowledgements_come_in_the_order_of_the_items(server: SearchServer, name: str) -> None:
    sizes = [random.Random(7).randrange(1, 40) for _ in range(60)]
    sent: list[list[str]] = []

    def requests() -> Iterator[spb.UpsertVectorsRequest]:
        for number, size in enumerate(sizes):
            ids = [f"{number}-{i}" for i in range(size)]
            sent.append(ids)
            items = [item(one, [1, number, i]) for i, one in enumerate(ids)]
            if number == 30:
                items[0].vector_f32_le = b""
            # The name is needed in the first message only.
            yield spb.UpsertVectorsRequest(collection=name if number == 0 else "", items=items)

    answers = list(server.search.UpsertVectors(requests()))
    assert [[result.id for result in answer.results] for answer in answers] == sent
    refused_ids = [r.id for a in answers for r in a.results if r.status != APPLIED]
    assert refused_ids == ["30-0"]
    versions = [r.version for a in answers for r in a.results if r.status == APPLIED]
    assert versions == sorted(versions)
    count = server.search.CountItems(spb.CountItemsRequest(collection=name)).count
    assert count == sum(sizes) - 1


def test_a_stream_goes_on_past_a_collection_that_is_gone(server: SearchServer, name: str) -> None:
    requests = [
        spb.UpsertVectorsRequest(collection=name, items=[item("a", [1, 0, 0])]),
        spb.UpsertVectorsRequest(collection="gone", items=[item("b", [1, 0, 0])] * 2),
        spb.UpsertVectorsRequest(collection=name, items=[item("c", [1, 0, 0])]),
    ]
    answers = list(server.search.UpsertVectors(iter(requests)))
    assert [answers[0].results[0].status, answers[2].results[0].status] == [APPLIED] * 2
    assert [from_item_error(r.error).reason for r in answers[1].results] == [
        Reason.COLLECTION_NOT_FOUND
    ] * 2


def test_what_was_sent_before_a_bad_message_is_acknowledged(
    server: SearchServer, name: str
) -> None:
    requests = [
        spb.UpsertVectorsRequest(collection=name, items=[item("a", [1, 0, 0])]),
        spb.UpsertVectorsRequest(collection=name),
    ]
    answers = server.search.UpsertVectors(iter(requests))
    assert next(answers).results[0].status == APPLIED
    with refused() as errors:
        next(answers)
    assert errors[0].field == "items"


def test_an_older_version_is_superseded(server: SearchServer, name: str) -> None:
    (new,) = server.upsert(name, [item("a", [1, 0, 0], version=0)])
    server.upsert(name, [item("other", [0, 0, 1])])
    (again,) = server.upsert(name, [item("a", [0, 1, 0])])
    (old,) = server.upsert(name, [item("a", [0, 0, 1], version=new.version)])
    assert again.version > new.version
    assert (old.status, old.version) == (spb.MUTATION_STATUS_SUPERSEDED, again.version)
    assert server.find(name, [0, 1, 0])[0].id == "a"


def test_items_are_read_back_as_they_were_stored(server: SearchServer, name: str) -> None:
    facts = image_pb2.ImageFacts(
        width_px=4, height_px=3, sha256=b"s" * 32, format="JPEG", thumbnail_webp=b"picture"
    )
    kept = metadata(
        text="ä", whole=3, half=0.5, yes=True, nothing=None, list=[1, "two", {"x": []}], obj={}
    )
    server.upsert(name, [item("a", [3, 4, 0], metadata=kept, facts=facts)])
    everything = spb.ItemFields(metadata=True, facts=True, thumbnail=True, vector=True)
    response = server.search.GetItems(
        spb.GetItemsRequest(collection=name, ids=["b", "a"], fields=everything)
    )
    (stored,) = response.items
    assert list(response.missing_ids) == ["b"]
    assert (stored.id, stored.metadata, stored.facts) == ("a", kept, facts)
    assert stored.update_time.seconds > 1_600_000_000
    assert vectors.decode(stored.vector_f32_le, field="") == pytest.approx([0.6, 0.8, 0])
    for fields in (spb.ItemFields(facts=True), spb.ItemFields(thumbnail=True), spb.ItemFields()):
        (hit,) = (
            server.search.Search(
                spb.SearchRequest(
                    collection=name, queries=[spb.Query(id="a")], fields=fields, limit=1
                )
            )
            .results[0]
            .hits
        ) or (None,)
        assert hit is None  # the query's own item is left out
        query = spb.Query(vector_f32_le=packed([1, 0, 0]))
        (hit,) = (
            server.search.Search(spb.SearchRequest(collection=name, queries=[query], fields=fields))
            .results[0]
            .hits
        )
        assert hit.item.id == ""
        assert bool(hit.item.facts.thumbnail_webp) == fields.thumbnail
        assert bool(hit.item.facts.width_px) == fields.facts
        assert not hit.item.HasField("metadata")


def test_metadata_is_replaced_and_items_deleted(server: SearchServer, name: str) -> None:
    server.upsert(name, [item(i, [1, 0, 0], metadata=metadata(kind="old")) for i in "ab"])
    updates = [
        spb.MetadataUpdate(id="a", metadata=metadata(kind="new")),
        spb.MetadataUpdate(id="", metadata=metadata()),
        spb.MetadataUpdate(id="missing", metadata=metadata()),
    ]
    response = server.search.UpdateMetadata(
        spb.UpdateMetadataRequest(collection=name, updates=updates)
    )
    assert [r.status for r in response.results] == [
        APPLIED,
        spb.MUTATION_STATUS_UNSPECIFIED,
        spb.MUTATION_STATUS_NOT_FOUND,
    ]
    assert response.results[1].error.field == "updates[1].id"
    counted = server.search.CountItems(
        spb.CountItemsRequest(collection=name, filter=equals("kind", "new"))
    )
    assert counted.count == 1
    deleted = server.search.DeleteItems(
        spb.DeleteItemsRequest(
            collection=name, items=[spb.ItemDelete(id="a"), spb.ItemDelete(id="nobody")]
        )
    )
    assert [r.status for r in deleted.results] == [APPLIED, spb.MUTATION_STATUS_NOT_FOUND]
    assert [hit.id for hit in server.find(name, [1, 0, 0])] == ["b"]


def test_a_listing_goes_page_by_page(server: SearchServer, name: str) -> None:
    ids = [f"i{n:02}" for n in range(25)]
    kinds = {one: metadata(kind="even" if n % 2 == 0 else "odd") for n, one in enumerate(ids)}
    server.upsert(name, [item(one, [1, 0, 0], metadata=kinds[one]) for one in reversed(ids)])

    def pages(**fields: Any) -> list[list[str]]:
        found: list[list[str]] = []
        token = ""
        while not found or token:
            response = server.search.ListItems(
                spb.ListItemsRequest(collection=name, page_token=token, **fields)
            )
            found.append([one.id for one in response.items])
            token = response.next_page_token
        return found

    assert pages(page_size=10) == [ids[:10], ids[10:20], ids[20:]]
    assert pages(page_size=25) == [ids]
    even = pages(page_size=5, filter=equals("kind", "even"))
    assert [one for page in even for one in page] == ids[::2]


def test_a_page_token_is_good_for_its_listing_only(server: SearchServer, name: str) -> None:
    server.upsert(name, [item(one, [1, 0, 0]) for one in "abc"])
    token = server.search.ListItems(
        spb.ListItemsRequest(collection=name, page_size=1)
    ).next_page_token
    other = f"{name}-2"
    server.create(other, 3)
    damaged = ("A" if token[0] != "A" else "B") + token[1:]
    for request in (
        spb.ListItemsRequest(collection=other, page_token=token),
        spb.ListItemsRequest(collection=name, page_token=token, filter=equals("a", "b")),
        spb.ListItemsRequest(collection=name, page_token=damaged),
        spb.ListItemsRequest(collection=name, page_token="ä"),
        spb.ListItemsRequest(collection=name, page_token="AAAA"),
    ):
        with refused() as errors:
            server.search.ListItems(request)
        assert errors[0].reason is Reason.PAGE_TOKEN_INVALID
    with refused() as errors:
        server.collections.ListCollections(cpb.ListCollectionsRequest(page_token=token))
    assert errors[0].reason is Reason.PAGE_TOKEN_INVALID


def test_all_is_there_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        first = server.create("first", 3)
        server.upsert("first", [item("a", [1, 0, 0], metadata=metadata(n=1))])
        server.create("second", 2)
        server.collections.SetAlias(cpb.SetAliasRequest(alias="live", collection="first"))
        server.collections.UpdateCollection(
            cpb.UpdateCollectionRequest(collection="first", expansion_search=99)
        )
        assert server.kill() == -signal.SIGKILL
    with running(tmp_path) as server:
        got = server.collections.GetCollection(
            cpb.GetCollectionRequest(collection="live")
        ).collection
        assert (got.name, got.uid, list(got.aliases)) == ("first", first.uid, ["live"])
        assert got.settings.index.expansion_search == 99
        assert [hit.id for hit in server.find(first.uid, [1, 0, 0])] == ["a"]
        names = server.collections.ListCollections(cpb.ListCollectionsRequest())
        assert [one.name for one in names.collections] == ["first", "second"]
        assert server.stop() == 0
