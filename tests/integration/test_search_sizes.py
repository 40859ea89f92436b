"""Answers that gRPC would refuse for their size: said in our words, or cut into pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike.v1 import image_pb2
from lookalike.v1 import search_pb2 as spb
from lookalike.wire.channel import MAX_MESSAGE_BYTES
from lookalike.wire.errors import LimitExceeded
from search_service.limits import MAX_HITS, MAX_ID_BYTES, MAX_QUERIES, MAX_THUMBNAIL_BYTES
from search_service.servicers.response_size import MAX_RESPONSE_BYTES
from tests.integration.search_server import SearchServer, item, packed, refused, running

# One more than an answer can carry with their thumbnails.
FIT = MAX_RESPONSE_BYTES // MAX_THUMBNAIL_BYTES - 1
ITEMS = FIT + 20
IDS = [f"item-{number:03d}" for number in range(ITEMS)]
LARGE = spb.ItemFields(thumbnail=True)
E1 = packed([1.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("sizes")) as one:
        one.create("c", 3)
        facts = image_pb2.ImageFacts(thumbnail_webp=os.urandom(MAX_THUMBNAIL_BYTES))
        for start in range(0, ITEMS, 50):
            one.upsert("c", [item(id, [1, 0, 0], facts=facts) for id in IDS[start : start + 50]])
        yield one


def test_the_largest_ids_at_the_most_hits_fit_into_a_message() -> None:
    hits = [spb.Hit(id="i" * MAX_ID_BYTES, score=0.5)] * (MAX_HITS // MAX_QUERIES)
    result = spb.QueryResult(hits=hits, plan_kind=spb.PLAN_KIND_EXACT)
    assert (result.ByteSize() + 8) * MAX_QUERIES < MAX_RESPONSE_BYTES < MAX_MESSAGE_BYTES


def test_items_are_read_up_to_the_size_of_a_message_and_no_further(server: SearchServer) -> None:
    request = spb.GetItemsRequest(collection="c", ids=IDS[:FIT], fields=LARGE)
    assert len(server.search.GetItems(request).items) == FIT
    for ids in (IDS[: FIT + 2], IDS):
        with refused() as errors:
            server.search.GetItems(spb.GetItemsRequest(collection="c", ids=ids, fields=LARGE))
        assert isinstance(errors[0], LimitExceeded)
        assert "fewer items or fields" in errors[0].message
    small = spb.GetItemsRequest(collection="c", ids=IDS)
    assert len(server.search.GetItems(small).items) == ITEMS


def test_hits_carry_items_up_to_the_size_of_a_message(server: SearchServer) -> None:
    def search(limit: int, queries: int, fields: spb.ItemFields) -> spb.SearchResponse:
        query = spb.Query(vector_f32_le=E1)
        return server.search.Search(
            spb.SearchRequest(collection="c", queries=[query] * queries, limit=limit, fields=fields)
        )

    assert len(search(FIT, 1, LARGE).results[0].hits) == FIT
    # The second is small to read, and large since each answer repeats the item.
    for limit, queries in ((ITEMS, 1), (1, MAX_QUERIES)):
        with refused() as errors:
            search(limit, queries, LARGE)
        assert isinstance(errors[0], LimitExceeded)
        assert "fewer items or fields" in errors[0].message
    assert len(search(1, FIT, LARGE).results) == FIT


def test_one_answer_that_is_too_large_does_no_harm_to_those_beside_it(
    server: SearchServer,
) -> None:
    def search(fields: spb.ItemFields) -> int:
        query = spb.Query(vector_f32_le=E1)
        request = spb.SearchRequest(collection="c", queries=[query], limit=ITEMS, fields=fields)
        return len(server.search.Search(request).results[0].hits)

    def refuse(_: int) -> None:
        with refused() as errors:
            search(LARGE)
        assert isinstance(errors[0], LimitExceeded)

    with ThreadPoolExecutor(8) as pool:
        large = pool.map(refuse, range(8))
        assert [search(spb.ItemFields()) for _ in range(40)] == [ITEMS] * 40
        list(large)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("page_size", [1, 7, FIT, 1_000])
def test_pages_end_early_where_they_would_be_too_large(
    server: SearchServer, page_size: int, ordered: bool
) -> None:
    found: list[str] = []
    sizes: list[int] = []
    token = ""
    fields = LARGE if page_size >= FIT else spb.ItemFields()
    while True:
        request = spb.ListItemsRequest(
            collection="c", fields=fields, page_size=page_size, page_token=token
        )
        if ordered:
            request.order.field = "kind"
        page = server.search.ListItems(request)
        found += [each.id for each in page.items]
        sizes.append(len(page.items))
        token = page.next_page_token
        if not token:
            break
    assert found == IDS
    assert all(size == min(page_size, sizes[0]) for size in sizes[:-1])
    if page_size >= FIT:
        assert sizes[0] in (FIT, FIT + 1)
