"""Pages of a search over a real socket, while the collection changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike.v1 import search_pb2 as spb
from lookalike.wire.errors import Reason
from lookalike_client import AsyncClient, Client, Example, Query, VectorItem
from tests.integration.search_server import SearchServer, packed, refused, running

DIMENSION = 6
ITEMS = 2_000
VECTORS = np.random.default_rng(8).normal(size=(ITEMS, DIMENSION)).astype(np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("search-pages")) as started:
        yield started


@pytest.fixture
def client(server: SearchServer) -> Iterator[Client]:
    with Client(f"127.0.0.1:{server.port}") as connected:
        connected.collections.create("c", model=None, dimension=DIMENSION)
        items = [VectorItem(f"i{n}", VECTORS[n], {"n": n}) for n in range(ITEMS)]
        assert all(
            each.error is None for each in connected.upsert_vectors("c", items, batch_items=500)
        )
        yield connected
        connected.collections.delete("c")


@pytest.mark.parametrize(
    "query",
    [
        Query.by_id("i7"),
        Query.by_examples([Example.by_id("i7"), Example.by_vector(VECTORS[8])]),
    ],
    ids=["id", "examples"],
)
def test_a_stored_item_is_looked_for_as_it_was_on_the_first_page(
    client: Client, query: Query
) -> None:
    want = [hit.id for hit in client.search("c", query, limit=ITEMS).hits]
    pages = client.search_pages("c", query, limit=300)
    found = [hit.id for hit in next(pages).hits]
    # The rest of it must not be looked for near another vector, or not at all.
    list(client.upsert_vectors("c", [VectorItem("i7", -VECTORS[7])]))
    found += [hit.id for hit in next(pages).hits]
    client.delete("c", ["i7"])
    found += [hit.id for page in pages for hit in page.hits]
    assert found == want
    assert "i7" not in found


def test_a_search_goes_on_in_another_client_and_after_a_restart(tmp_path: Path) -> None:
    found: list[str] = []
    with running(tmp_path) as server, Client(f"127.0.0.1:{server.port}") as client:
        client.collections.create("c", model=None, dimension=DIMENSION)
        client.collections.set_alias("live", "c")
        items = [VectorItem(f"i{n}", VECTORS[n]) for n in range(500)]
        list(client.upsert_vectors("c", items))
        first = next(client.search_pages("c", Query.by_id("i1"), limit=100))
        want = [hit.id for hit in client.search("c", Query.by_id("i1"), limit=500).hits]
    with running(tmp_path) as server:
        address = f"127.0.0.1:{server.port}"

        async def rest() -> None:
            async with AsyncClient(address) as other:
                async for page in other.search_pages(
                    "live", Query.by_id("i1"), limit=150, page_token=first.next_page_token
                ):
                    found.extend(hit.id for hit in page.hits)

        asyncio.run(rest())
    assert [hit.id for hit in first.hits] + found == want


def test_pages_end_where_one_answer_would(server: SearchServer) -> None:
    """At 100,000 hits, whatever the size of the last page would be."""
    with Client(f"127.0.0.1:{server.port}") as client:
        client.collections.create("large", model=None, dimension=2)
        angles = np.linspace(0, 3, 100_300)
        rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        items = (VectorItem(f"i{n}", rows[n]) for n in range(len(rows)))
        stored = sum(
            each.error is None for each in client.upsert_vectors("large", items, batch_items=1_000)
        )
        assert stored == len(rows)
        query = Query.by_vector([1.0, 0.0])
        pages = list(client.search_pages("large", query, limit=9_000, exact=True))
        client.collections.delete("large")
    assert [len(page.hits) for page in pages] == [9_000] * 11 + [1_000]
    assert len({hit.id for page in pages for hit in page.hits}) == 100_000
    scores = [hit.score for page in pages for hit in page.hits]
    assert scores == sorted(scores, reverse=True)


def test_a_page_is_of_one_query(server: SearchServer, client: Client) -> None:
    query = spb.Query(vector_f32_le=packed(VECTORS[0].tolist()))
    for queries in ([query, query], []):
        request = spb.SearchRequest(collection="c", queries=queries, paged=True)
        with refused() as errors:
            server.search.Search(request)
        assert (errors[0].reason, errors[0].field) == (Reason.INVALID_FIELD, "queries")


def test_a_page_is_ordered_by_cosine(server: SearchServer, client: Client) -> None:
    best = spb.Examples(positives=[spb.Example(id="i1")], mode=spb.EXAMPLE_MODE_BEST_SCORE)
    by_id = spb.Query(id="i1")
    for request, field in (
        (spb.SearchRequest(queries=[spb.Query(examples=best)]), "queries[0].examples.mode"),
        (spb.SearchRequest(queries=[by_id], ranking=spb.Ranking(diversity=0.5)), "ranking"),
        (spb.SearchRequest(queries=[by_id], group_by=spb.GroupBy(field="n")), "group_by"),
    ):
        request.collection, request.paged = "c", True
        with refused() as errors:
            server.search.Search(request)
        assert (errors[0].reason, errors[0].field) == (Reason.INVALID_FIELD, field)


def test_a_page_of_a_stream_is_a_page(server: SearchServer, client: Client) -> None:
    query = spb.Query(vector_f32_le=packed(VECTORS[0].tolist()))
    token = ""
    found: list[str] = []
    for number in range(3):
        search = spb.SearchRequest(
            collection="c", queries=[query], limit=20, paged=True, page_token=token
        )
        request = spb.SearchStreamRequest(request_id=number, search=search)
        (answer,) = server.search.SearchStream(iter([request]))
        (result,) = answer.search.results
        found += [hit.id for hit in result.hits]
        token = result.next_page_token
    want = client.search("c", Query.by_vector(VECTORS[0]), limit=60).hits
    assert found == [hit.id for hit in want]


def test_every_damage_to_a_token_is_noticed(server: SearchServer, client: Client) -> None:
    query = spb.Query(id="i3")
    first = spb.SearchRequest(collection="c", queries=[query], limit=5, paged=True)
    token = server.search.Search(first).results[0].next_page_token
    rng = np.random.default_rng(1)
    for _ in range(60):
        place = int(rng.integers(len(token)))
        damaged = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        request = spb.SearchRequest(
            collection="c", queries=[query], limit=5, page_token=damaged[: len(token)]
        )
        with refused() as errors:
            server.search.Search(request)
        assert (errors[0].reason, errors[0].field) == (Reason.PAGE_TOKEN_INVALID, "page_token")
