"""A user's typed program: checked by `mypy --strict` with the sources, never run.

`assert_type` fails the check where a result reaches users as another type, or as Any.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import assert_type

from lookalike_client import (
    Acceptance,
    Alias,
    AsyncClient,
    Client,
    Collection,
    DeleteItem,
    DeleteProgress,
    Example,
    Facets,
    Fields,
    FieldValue,
    Hit,
    ImageItem,
    IngestEvent,
    IngestFailure,
    IngestStatus,
    Item,
    ItemPage,
    LookalikeError,
    MetadataItem,
    MutationResult,
    MutationStatus,
    Query,
    QueuedMutation,
    RecallMeasurement,
    RetryResult,
    SearchOptions,
    SearchResult,
    Snapshot,
    UpdateProgress,
    VectorItem,
    errors,
)
from lookalike_client.testing import FakeServer


def blocking(address: str) -> None:
    with Client(address, timeout_s=5.0) as client:
        assert_type(client, Client)
        assert_type(client.ready(), bool)
        options = SearchOptions(limit=3, filter="price < 50", fields=Fields(vector=True))
        found = client.search("photos", Query.by_image(b"..."), timeout_s=1.0, **options)
        assert_type(found, SearchResult)
        assert_type(found.hits, Sequence[Hit])
        assert_type(found.hits[0].score, float)
        queries = [Query.by_id("a"), Query.by_examples([Example.by_vector([1.0])])]
        assert_type(client.search_many("photos", queries, exact=True), Sequence[SearchResult])
        vectors = (VectorItem(str(number), [1.0, 0.0], {"n": number}) for number in range(3))
        assert_type(client.upsert_vectors("photos", vectors), Iterator[MutationResult])
        assert_type(client.submit_images("photos", mutations()), Iterator[Acceptance])
        assert_type(client.watch_ingest("job"), Iterator[IngestEvent])
        assert_type(
            client.update_metadata("photos", {"a": {"n": [1, None]}}), Sequence[MutationResult]
        )
        assert_type(client.delete("photos", ["a"])[0].status, MutationStatus)
        assert_type(client.delete_by_filter("photos", "price < 50"), Iterator[DeleteProgress])
        changed = client.update_by_filter("photos", {"n": None}, all_items=True)
        assert_type(changed, Iterator[UpdateProgress])
        assert_type(client.search_pages("photos", queries[0], limit=5), Iterator[SearchResult])
        page = client.get("photos", ["a"])
        assert_type(page, ItemPage)
        assert_type(page.items[0].update_time, datetime | None)
        assert_type(client.list("photos", order_by="price"), Iterator[Item])
        assert_type(client.count("photos"), int)
        assert_type(client.facets("photos", "kind"), Facets)
        assert_type(client.facets("photos", "kind").counts, Sequence[tuple[FieldValue, int]])
        assert_type(client.ingest_status(), IngestStatus)
        assert_type(client.ingest_status().workers[0].stage_s, Mapping[str, float])
        assert_type(client.failures(), Iterator[IngestFailure])
        assert_type(client.retry_failures(["f"]), RetryResult)
        assert_type(client.collections.create("photos"), Collection)
        assert_type(client.collections.aliases(), Iterator[Alias])
        assert_type(client.collections.measure_recall("photos"), Sequence[RecallMeasurement])
        assert_type(client.snapshots.create("photos"), Snapshot)


async def with_asyncio(address: str) -> None:
    async with AsyncClient(address) as client:
        assert_type(client, AsyncClient)
        found = await client.search("photos", Query.by_id("a"), limit=3)
        assert_type(found, SearchResult)
        assert_type(client.list("photos"), AsyncIterator[Item])
        # An iterable of either kind.
        assert_type(client.submit_images("photos", mutations()), AsyncIterator[Acceptance])
        assert_type(client.submit_images("photos", arriving()), AsyncIterator[Acceptance])
        assert_type([each async for each in client.watch_ingest("job")], list[IngestEvent])
        assert_type(await client.collections.get("photos"), Collection)
        assert_type(await client.snapshots.create("photos"), Snapshot)


def mutations() -> Iterator[QueuedMutation]:
    yield ImageItem("a", image="a.jpg")
    yield MetadataItem("a", {"n": 1})
    yield DeleteItem("a")


async def arriving() -> AsyncIterator[ImageItem]:
    yield ImageItem("a", image_uri="s3://bucket/a.jpg")


def refused(address: str) -> str:
    try:
        with Client(address) as client:
            client.count("nowhere")
    except errors.NotFound as error:
        assert_type(error.reason, errors.Reason)
        return error.field
    except LookalikeError as error:
        return f"{error.retryable} {error.retry_delay_s}"
    return ""


def tested() -> None:
    with FakeServer(embed=lambda image: [float(len(image)), 1.0], dimension=2) as server:
        assert_type(server.address, str)
