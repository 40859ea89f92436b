"""Both clients against a search service."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike.wire.errors import (
    AlreadyExists,
    DimensionMismatch,
    FilterInvalid,
    NotFound,
    Reason,
    Unavailable,
)
from lookalike_client import (
    AsyncClient,
    Client,
    DuplicateSettings,
    Example,
    Fields,
    IndexSettings,
    Query,
    VectorItem,
)
from lookalike_client.types import MutationStatus, PlanKind
from tests.integration.search_server import SearchServer, running

VECTORS = {
    "g1": [1.0, 0.0, 0.0],
    "g2": [0.0, 1.0, 0.0],
    "g3": [0.5, 0.5, 0.0],
    "g4": [0.0, 0.0, 1.0],
    "g5": [0.2, 0.1, 0.0],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("client-search")) as started:
        yield started


@pytest.fixture
def client(server: SearchServer) -> Iterator[Client]:
    with Client(f"127.0.0.1:{server.port}") as connected:
        yield connected


@pytest.fixture
def worked(client: Client) -> Iterator[str]:
    name = "worked"
    client.collections.create(name, model=None, dimension=3)
    items = [VectorItem(key, vector, {"key": key}) for key, vector in VECTORS.items()]
    results = list(client.upsert_vectors(name, items, batch_items=2))
    assert [result.status for result in results] == [MutationStatus.APPLIED] * 5
    yield name
    client.collections.delete(name)


def test_search_returns_typed_hits_best_first(client: Client, worked: str) -> None:
    result = client.search(worked, Query.by_vector([0.6, 0.8, 0.0]), explain=True)

    assert [hit.id for hit in result.hits] == ["g3", "g5", "g2", "g1", "g4"]
    assert result.hits[0].score == pytest.approx(0.98995, abs=1e-5)
    assert result.hits[0].metadata == {"key": "g3"}
    assert result.hits[0].item is not None
    assert result.hits[0].item.id == "g3"
    assert result.plan_kind is PlanKind.EXACT
    assert result.plan is not None
    assert result.plan.items == 5


def test_every_option_of_a_search_is_heard(client: Client, worked: str) -> None:
    many = client.search_many(
        worked,
        [Query.by_id("g1"), Query.by_vector(np.array([0, 0, 2.0]))],
        limit=2,
        filter="key != 'g5'",
        min_score=0.1,
        exact=True,
        exclude_ids=["g2"],
        fields=Fields(metadata=False, vector=True),
    )

    assert [[hit.id for hit in result.hits] for result in many] == [["g3"], ["g4"]]
    hit = many[1].hits[0]
    assert hit.metadata == {}
    assert hit.item is not None
    assert hit.item.vector is not None
    assert hit.item.vector.tolist() == [0.0, 0.0, 1.0]


def test_examples_pull_and_push(client: Client, worked: str) -> None:
    pulled = Query.by_examples([Example.by_id("g5")])
    pushed = Query.by_examples([Example.by_id("g5")], [Example.by_vector([0, 1, 0])])

    nearest = [client.search(worked, query, limit=1).hits[0].id for query in (pulled, pushed)]

    assert nearest == ["g3", "g1"]


def test_items_are_listed_page_by_page(client: Client, worked: str) -> None:
    listed = [item.id for item in client.list(worked, page_size=2)]
    filtered = [item.metadata for item in client.list(worked, filter="key = 'g2'")]

    assert listed == sorted(VECTORS)
    assert filtered == [{"key": "g2"}]
    assert client.count(worked) == 5
    assert client.count(worked, filter="key in ['g1', 'g2', 'x']") == 2


def test_metadata_is_replaced_and_items_deleted(client: Client, worked: str) -> None:
    updated = client.update_metadata(worked, {"g1": {"n": 1}, "zz": {}})
    deleted = client.delete(worked, ["g2", "zz"])
    page = client.get(worked, ["g1", "g2"], fields=Fields(metadata=True, vector=True))

    assert [each.status for each in updated] == [MutationStatus.APPLIED, MutationStatus.NOT_FOUND]
    assert [each.status for each in deleted] == [MutationStatus.APPLIED, MutationStatus.NOT_FOUND]
    assert (page.items[0].metadata, page.missing_ids) == ({"n": 1}, ["g2"])
    assert page.items[0].vector is not None
    assert page.items[0].version == updated[0].version


def test_more_than_one_request_may_hold(client: Client, worked: str) -> None:
    chance = np.random.default_rng(3)
    items = [
        VectorItem(f"v{number:04}", row) for number, row in enumerate(chance.random((1500, 3)))
    ]

    results = list(client.upsert_vectors(worked, items))
    page = client.get(worked, [item.id for item in items] + ["none"])
    deleted = client.delete(worked, [item.id for item in items])

    assert [result.id for result in results] == [item.id for item in items]
    assert (len(page.items), page.missing_ids) == (1500, ["none"])
    assert {result.status for result in deleted} == {MutationStatus.APPLIED}


def test_collections_are_described_changed_and_named(client: Client) -> None:
    index = IndexSettings(preset="fast", scalar_type="f16", expansion_search=64)
    duplicates = DuplicateSettings("flag", 0.875)
    made = client.collections.create(
        "shelf", model=None, dimension=8, index=index, duplicates=duplicates
    )
    try:
        changed = client.collections.update("shelf", expansion_search=128)
        assert client.collections.set_alias("live", "shelf") == ""
        assert client.collections.get("live").aliases == ["live"]
        assert [alias.alias for alias in client.collections.aliases()] == ["live"]
        client.collections.delete_alias("live")

        assert (made.index.preset, made.index.scalar_type) == ("fast", "f16")
        assert (made.duplicates, made.index.expansion_search) == (duplicates, 64)
        assert changed.index.expansion_search == 128
        assert changed.duplicates == duplicates
        assert "shelf" in [each.name for each in client.collections.list()]
        with pytest.raises(AlreadyExists):
            client.collections.create("shelf", model=None, dimension=8)
    finally:
        assert client.collections.delete("shelf") == 0


def test_errors_come_as_what_they_are(client: Client, worked: str) -> None:
    with pytest.raises(NotFound) as unknown:
        client.count("nowhere")
    with pytest.raises(DimensionMismatch):
        client.search(worked, Query.by_vector([1.0]))
    with pytest.raises(FilterInvalid, match="column 7"):
        client.count(worked, filter="key = = 1")

    assert unknown.value.reason is Reason.COLLECTION_NOT_FOUND


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with Client("127.0.0.1:1", timeout_s=2) as client, pytest.raises(Unavailable):
        client.ready()


def test_a_restarted_service_is_found_again(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        port = first.port
        with Client(f"127.0.0.1:{port}") as client:
            client.collections.create("kept", model=None, dimension=2)
            stored = list(client.upsert_vectors("kept", [VectorItem("a", [1, 0])]))
            assert stored[0].error is None
            first.kill()
            with running(tmp_path, "--port", str(port)):
                assert client.count("kept") == 1


def test_the_asyncio_client_does_the_same(server: SearchServer) -> None:
    async def run() -> None:
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            assert await client.ready()
            await client.collections.create("async", model=None, dimension=3)
            items = [VectorItem(key, vector) for key, vector in VECTORS.items()]
            results = [each async for each in client.upsert_vectors("async", items)]
            found = await client.search("async", Query.by_vector([0.6, 0.8, 0.0]))
            listed = [item.id async for item in client.list("async", page_size=2)]
            await client.update_metadata("async", {"g1": {"n": 1}})
            page = await client.get("async", ["g1", "zz"])
            await client.delete("async", ["g2"])
            count = await client.count("async")
            (measured,) = await client.collections.measure_recall("async", sample_size=4, limit=2)
            names = [each.name async for each in client.collections.list()]
            deleted = await client.collections.delete("async")
            with pytest.raises(NotFound):
                await client.count("async")

        assert {each.status for each in results} == {MutationStatus.APPLIED}
        assert [hit.id for hit in found.hits] == ["g3", "g5", "g2", "g1", "g4"]
        assert listed == sorted(VECTORS)
        assert (page.items[0].metadata, page.missing_ids) == ({"n": 1}, ["zz"])
        assert (count, deleted, measured.recall) == (4, 4, 1.0)
        assert "async" in names

    asyncio.run(run())


def test_concurrent_searches_share_a_client(server: SearchServer, worked: str) -> None:
    async def run() -> list[list[str]]:
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            searches = [
                client.search(worked, Query.by_vector(vector), limit=1)
                for vector in VECTORS.values()
            ]
            results = await asyncio.gather(*searches)
        return [[hit.id for hit in result.hits] for result in results]

    assert asyncio.run(run()) == [[key] for key in VECTORS]
