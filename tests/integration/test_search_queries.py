"""Queries and aliases over a real socket."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import filter_pb2
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import Reason
from tests.integration.search_server import SearchServer, item, metadata, packed, refused


def test_examples_follow_their_formula(server: SearchServer, name: str) -> None:
    rng = np.random.default_rng(3)
    stored = {f"v{n}": rng.standard_normal(3) for n in range(40)}
    server.upsert(name, [item(one, list(v)) for one, v in stored.items()])
    unit = {one: v / np.linalg.norm(v) for one, v in stored.items()}
    query = spb.Query(
        examples=spb.Examples(
            positives=[spb.Example(id="v0"), spb.Example(vector_f32_le=packed([0, 0, 5]))],
            negatives=[spb.Example(id="v1")],
        )
    )
    response = server.search.Search(
        spb.SearchRequest(collection=name, queries=[query], limit=5, exclude_ids=["v7"])
    )
    wanted = 2 * np.mean(np.asarray([unit["v0"], [0, 0, 1]]), axis=0) - unit["v1"]
    wanted /= np.linalg.norm(wanted)
    scores = {one: float(v @ wanted) for one, v in unit.items() if one not in ("v0", "v1", "v7")}
    best = sorted(scores, key=lambda one: -scores[one])[:5]
    assert [hit.id for hit in response.results[0].hits] == best
    assert [hit.score for hit in response.results[0].hits] == pytest.approx(
        [scores[one] for one in best], abs=1e-6
    )


def test_options_of_a_search(server: SearchServer, name: str) -> None:
    stored = [item(f"i{n}", [1, n / 10, 0], metadata=metadata(n=n)) for n in range(10)]
    server.upsert(name, stored)
    response = server.search.Search(
        spb.SearchRequest(
            collection=name,
            queries=[spb.Query(vector_f32_le=packed([1, 0, 0]))],
            min_score=0.95,
            filter=filter_pb2.Filter(expression="n >= 1"),
            fields=spb.ItemFields(metadata=True),
            explain=True,
        )
    )
    (result,) = response.results
    assert [hit.id for hit in result.hits] == ["i1", "i2", "i3"]
    assert [hit.item.metadata["n"] for hit in result.hits] == [1, 2, 3]
    assert result.plan.kind == result.plan_kind == spb.PLAN_KIND_EXACT_FILTERED
    assert (result.plan.items, result.plan.filter_matches) == (10, 9)


def test_times_without_an_offset_are_found_as_utc(server: SearchServer, name: str) -> None:
    taken = {
        "iso": "2024-05-01T10:00:00",
        "space": "2024-05-01 10:00:00.5",
        "exif": "2024:05:01 10:00:00",
        "offset": "2024-05-01T12:00:00+02:00",
        "date": "2024-05-01",
        "unknown": "0000:00:00 00:00:00",
        "clock": "12:30",
        "list": ["soon", "2024-05-02t00:00z"],
        "number": 20240501,
    }
    stored = [item(key, [1, 0, 0], metadata=metadata(taken=value)) for key, value in taken.items()]
    server.upsert(name, [*stored, item("none", [1, 0, 0])])

    def found(expression: str) -> set[str]:
        request = spb.ListItemsRequest(
            collection=name, filter=filter_pb2.Filter(expression=expression)
        )
        return {each.id for each in server.search.ListItems(request).items}

    assert found("taken = @2024-05-01T10:00:00") == {"iso", "exif", "offset"}
    assert found("taken = @2024-05-01 10:00:00 and exists(taken)") == {"iso", "exif", "offset"}
    assert found("taken = @2024:05:01") == {"date"}
    assert found("taken > @2024-05-01T09:59:59.9z") == {"iso", "space", "exif", "offset", "list"}
    assert found("@2024-05-01 <= taken < @2024-05-02") == {
        *("iso", "space", "exif", "offset", "date")
    }
    assert found("not taken < @9999-12-31") == {"unknown", "clock", "number", "none"}
    facets = server.search.CountFacets(
        spb.CountFacetsRequest(
            collection=name,
            field="taken",
            filter=filter_pb2.Filter(expression="taken = @2024-05-01T10:00:00Z"),
        )
    )
    assert {each.value.string_value for each in facets.facets} == {
        *("2024-05-01T10:00:00", "2024:05:01 10:00:00", "2024-05-01T12:00:00+02:00")
    }
    request = spb.SearchRequest(
        collection=name,
        queries=[spb.Query(vector_f32_le=packed([1, 0, 0]))],
        filter=filter_pb2.Filter(expression="taken > @2024-05-01 or absent.`x.y` = @2024-05-01"),
        explain=True,
    )
    (result,) = server.search.Search(request).results
    times, absent = result.plan.filter_remarks
    assert times.startswith("taken: 6 of 9 values are times; ")
    assert absent == "no item has the field absent.`x.y`"


def test_a_stream_of_searches_answers_each_request(server: SearchServer, name: str) -> None:
    server.upsert(name, [item("x", [1, 0, 0]), item("y", [0, 1, 0])])
    good = spb.SearchRequest(
        collection=name, queries=[spb.Query(vector_f32_le=packed([0, 1, 0]))], limit=1
    )
    requests = [
        spb.SearchStreamRequest(
            request_id=number,
            search=good if number % 3 else spb.SearchRequest(collection=name, limit=1),
        )
        for number in range(300)
    ]
    answers = {a.request_id: a for a in server.search.SearchStream(iter(requests))}
    assert sorted(answers) == list(range(300))
    for number, answer in answers.items():
        if number % 3:
            assert answer.search.results[0].hits[0].id == "y"
        else:
            assert answer.error.field == "queries"


def test_an_expired_deadline_is_told(server: SearchServer, name: str) -> None:
    server.upsert(name, [item("x", [1, 0, 0])])
    request = spb.SearchRequest(collection=name, queries=[spb.Query(id="x")])
    with refused() as errors:
        server.search.Search(request, timeout=1e-6)
    assert errors[0].reason is Reason.DEADLINE_EXCEEDED


def test_recall_of_a_small_collection_is_whole(server: SearchServer, name: str) -> None:
    rng = np.random.default_rng(5)
    server.upsert(name, [item(f"i{n}", list(rng.standard_normal(3))) for n in range(100)])
    (measured,) = server.collections.MeasureRecall(
        cpb.MeasureRecallRequest(collection=name, sample_size=50, limit=5, seed=1)
    ).measurements
    assert (measured.recall, measured.self_misses, measured.limit) == (1.0, 0, 5)


def test_aliases_switch_and_go(server: SearchServer, name: str) -> None:
    other = f"{name}-2"
    server.create(other, 3)
    server.upsert(name, [item("old", [1, 0, 0])])
    server.upsert(other, [item("new", [1, 0, 0])])
    alias = f"{name}-live"

    def point(collection: str) -> str:
        return server.collections.SetAlias(
            cpb.SetAliasRequest(alias=alias, collection=collection)
        ).previous_collection

    assert point(name) == ""
    assert [hit.id for hit in server.find(alias, [1, 0, 0])] == ["old"]
    assert point(other) == name
    assert [hit.id for hit in server.find(alias, [1, 0, 0])] == ["new"]
    listed = server.collections.ListAliases(cpb.ListAliasesRequest()).aliases
    assert (alias, other) in [(one.alias, one.collection) for one in listed]
    with refused() as errors:
        server.collections.DeleteCollection(cpb.DeleteCollectionRequest(name=alias))
    assert errors[0].field == "name"
    with refused() as errors:
        server.create(alias, 3)
    assert errors[0].reason is Reason.COLLECTION_EXISTS
    with refused() as errors:
        server.collections.SetAlias(cpb.SetAliasRequest(alias=name, collection=other))
    assert errors[0].reason is Reason.COLLECTION_EXISTS
    deleted = server.collections.DeleteCollection(cpb.DeleteCollectionRequest(name=other))
    assert deleted.deleted_items == 1
    with refused() as errors:
        server.find(alias, [1, 0, 0])
    assert errors[0].reason is Reason.COLLECTION_NOT_FOUND
    with refused() as errors:
        server.collections.DeleteAlias(cpb.DeleteAliasRequest(alias=alias))
    assert errors[0].reason is Reason.COLLECTION_NOT_FOUND
