# Made by client/unasync.py from _async/client.py: change that file, then `make unasync`.
"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.v1 import ingest_pb2, ingest_pb2_grpc, search_pb2
from lookalike.wire.channel import TlsFiles, sync_channel
from lookalike.wire.vectors import F32
from lookalike_client import calls, convert, requests, settings, types
from lookalike_client._sync import streams
from lookalike_client._sync.analysis import Analysis
from lookalike_client._sync.banks import Banks
from lookalike_client._sync.changes import Changes
from lookalike_client._sync.collections import Collections
from lookalike_client._sync.paging import pages
from lookalike_client._sync.reembedding import Reembeddings
from lookalike_client._sync.snapshots import Snapshots
from lookalike_client.concurrency import threads
from lookalike_client.inputs import ImageLike, Query, QueuedMutation, VectorItem
from lookalike_client.lists import listed
from lookalike_client.requests import FilterLike, SearchOptions
from lookalike_client.submission_flow import SubmissionFlow
from lookalike_client.types import WITH_METADATA, Fields, IngestStatus
from lookalike_client.upsert_flow import UpsertFlow


class Client(Changes):
    """Talks to a search service; safe to share between threads.

    Use it as a context manager, or call `close`. Every method raises a
    `LookalikeError`; calls that may run twice are retried while the service is away
    or overloaded, within `timeout_s`.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: TlsFiles | None = None,
        token: str | Path | None = None,
        timeout_s: float = calls.DEFAULT_TIMEOUT_S,
        patience_s: float = calls.PATIENCE_S,
        use_proxy: bool = False,
    ) -> None:
        """Prepare a connection to `address` ("host:port"); it is made when needed.

        `timeout_s` bounds each call; `patience_s` how long a stream goes without
        progress, through restarts and overload, until it fails. With `use_proxy` the
        proxy that the environment names is used, unless the service is on this machine.
        `token` is an API key, or the file that holds it; it goes over TLS or to this
        machine alone. That file and those of `tls` are read again when they change.
        """
        options = calls.channel_options(tls, timeout_s, use_proxy, settings.token_of(token))
        self._channel = sync_channel(address, options)
        explain = calls.explaining(address, settings.proxies(), use_proxy=use_proxy)
        super().__init__(self._channel, explain, timeout_s=timeout_s, patience_s=patience_s)
        self._ingest = ingest_pb2_grpc.IngestServiceStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)
        self.collections = Collections(self._channel, self._explain, timeout_s)
        self.snapshots = Snapshots(self._channel, self._explain, timeout_s)
        self.analysis = Analysis(self._channel, self._explain)
        self.reembeddings = Reembeddings(self._channel, self._explain, timeout_s)
        self.banks = Banks(self._channel, self._explain, timeout_s, patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        self._channel.close()

    def ready(self) -> bool:
        """Return whether the service answers and takes requests.

        Raises:
            LookalikeError: it does not answer.
        """
        request = health_pb2.HealthCheckRequest()
        with calls.translated(self._explain):
            response = self._health.Check(request, timeout=self._timeout_s)
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    def search(
        self,
        collection: str,
        query: Query,
        *,
        timeout_s: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> types.SearchResult:
        """Find the items that look most like `query`, best first."""
        results = self.search_many(collection, [query], timeout_s=timeout_s, **options)
        return results[0]

    def make_vectors(
        self, collection: str, images: Sequence[ImageLike], *, timeout_s: float | None = None
    ) -> F32:
        """Return the vectors of up to 256 pictures, float32 [n, D], unit L2.

        They are made by the collection's model; nothing is stored.
        """
        request = requests.make_vectors(collection, images)
        with calls.translated(self._explain):
            response = self._search.MakeVectors(request, timeout=timeout_s or self._timeout_s)
        return convert.vectors(response.vectors_f32_le)

    def search_many(
        self,
        collection: str,
        queries: Sequence[Query],
        *,
        timeout_s: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> Sequence[types.SearchResult]:
        """Answer up to 256 queries that share their options, in their order.

        One request of many queries costs far less than many requests.
        """
        queries = listed("queries", queries)
        request = requests.search(collection, queries, options)
        with calls.translated(self._explain):
            response = self._search.Search(request, timeout=timeout_s or self._timeout_s)
        return calls.same_length(convert.search_results(response), queries)

    def search_pages(
        self,
        collection: str,
        query: Query,
        *,
        page_token: str = "",
        timeout_s: float | None = None,
        **options: Unpack[SearchOptions],
    ) -> Iterator[types.SearchResult]:
        """Yield what looks like `query` page by page, `limit` hits each, up to 100,000 in all.

        No page repeats hits of one before, nor skips any, whatever is stored or deleted
        meanwhile. `page_token` goes on after the page that has it as `next_page_token`,
        with the same query and options; only `limit`, `fields` and `explain` may differ.
        """
        request = requests.search(collection, [query], options)
        request.paged, request.page_token = True, page_token
        while True:
            with calls.translated(self._explain):
                response = self._search.Search(request, timeout=timeout_s or self._timeout_s)
            (result,) = calls.same_length(convert.search_results(response), [query])
            yield result
            request.page_token = result.next_page_token
            if not request.page_token:
                return

    def upsert_vectors(
        self, collection: str, items: threads.Items[VectorItem], *, batch_items: int = 64
    ) -> Iterator[types.MutationResult]:
        """Store vectors; yield each one's result when it is durable and searchable.

        What is refused for lack of room is sent again, so results may come in another order.
        """
        return streams.drive(
            UpsertFlow(collection, batch_items=batch_items),
            items,
            self._search.UpsertVectors,
            calls.Patience(self._patience_s, self._explain),
        )

    def get(
        self, collection: str, ids: Sequence[str], *, fields: Fields = WITH_METADATA
    ) -> types.ItemPage:
        """Read items by id."""
        found: list[types.Item] = []
        missing: list[str] = []
        for request in requests.gets(collection, ids, fields):
            with calls.translated(self._explain):
                response = self._search.GetItems(request, timeout=self._timeout_s)
            found.extend(convert.item(each) for each in response.items)
            missing.extend(response.missing_ids)
        return types.ItemPage(found, missing)

    def list(
        self,
        collection: str,
        *,
        filter: FilterLike = None,
        fields: Fields = WITH_METADATA,
        page_size: int = 0,
        order_by: str = "",
        descending: bool = False,
    ) -> Iterator[types.Item]:
        """Yield all items that meet `filter`, reading page by page.

        Sorted by id, or by the field `order_by`: those without a value last, equal ones by id.
        """
        request = requests.list_page(
            collection,
            filter=filter,
            fields=fields,
            page_size=page_size,
            order_by=order_by,
            descending=descending,
        )
        for page in pages(
            self._explain, self._search.ListItems, request, timeout_s=self._timeout_s
        ):
            for each in page.items:
                yield convert.item(each)

    def count(self, collection: str, *, filter: FilterLike = None) -> int:
        """Count the items that meet `filter`."""
        request = search_pb2.CountItemsRequest(
            collection=collection, filter=requests.condition(filter)
        )
        with calls.translated(self._explain):
            response = self._search.CountItems(request, timeout=self._timeout_s)
        return response.count

    def facets(
        self, collection: str, field: str, *, filter: FilterLike = None, limit: int = 0
    ) -> types.Facets:
        """Count items by the values of `field`; the `limit` (default 10) most frequent."""
        request = requests.facets(collection, field, filter, limit)
        with calls.translated(self._explain):
            response = self._search.CountFacets(request, timeout=self._timeout_s)
        return convert.facets(response)

    def submit_images(
        self, collection: str, mutations: threads.Items[QueuedMutation], *, job_id: str = ""
    ) -> Iterator[types.Acceptance]:
        """Queue images, deletions and metadata; yield what became of each.

        An item is accepted when it is durably queued. When the queue is full, the
        client waits and sends more slowly. A fault of one item is in its
        `Acceptance` and leaves the others alone. Iterate to make it run.
        """
        return streams.drive(
            SubmissionFlow(collection, job_id),
            mutations,
            self._ingest.SubmitImages,
            calls.Patience(self._patience_s, self._explain),
        )

    def watch_ingest(self, job_id: str, *, cursor: str = "") -> Iterator[types.IngestEvent]:
        """Yield the outcome of each mutation of a job, from `cursor` on.

        Ends when all that were accepted so far have ended; resumes by itself when
        the stream breaks.
        """
        return streams.watch(
            self._ingest.WatchIngest,
            job_id,
            cursor,
            calls.Patience(self._patience_s, self._explain),
        )

    def ingest_status(self) -> IngestStatus:
        """Return the state of the queue and of its workers."""
        request = ingest_pb2.GetIngestStatusRequest()
        with calls.translated(self._explain):
            response = self._ingest.GetIngestStatus(request, timeout=self._timeout_s)
        return convert.ingest_status(response)

    def failures(self, collection: str = "") -> Iterator[types.IngestFailure]:
        """Yield mutations that were given up, newest first, reading page by page."""
        request = ingest_pb2.ListFailuresRequest(collection=collection)
        for page in pages(
            self._explain, self._ingest.ListFailures, request, timeout_s=self._timeout_s
        ):
            for each in page.failures:
                yield convert.ingest_failure(each)

    def retry_failures(
        self, failure_ids: Sequence[str], *, duplicate_policy: str = ""
    ) -> types.RetryResult:
        """Queue failed mutations again, under the versions they had.

        `duplicate_policy` goes before the one they were submitted under: with "accept"
        what was rejected as a duplicate is stored all the same.
        """
        retried = 0
        missing: list[str] = []
        for request in requests.retries(failure_ids, duplicate_policy):
            with calls.translated(self._explain):
                response = self._ingest.RetryFailures(request, timeout=self._timeout_s)
            retried += response.retried
            missing.extend(response.missing_failure_ids)
        return types.RetryResult(retried, missing)
