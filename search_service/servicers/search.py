"""`lookalike.v1.SearchService`: translates and delegates."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc

from lookalike.v1 import search_pb2, search_pb2_grpc
from lookalike.wire.errors import LookalikeError
from lookalike.wire.status import to_item_error
from search_service.servicers.by_filter import ByFilter
from search_service.servicers.queries import Queries
from search_service.servicers.reads import Reads
from search_service.servicers.writes import Writes

SERVICE_NAME = "lookalike.v1.SearchService"

# Requests of one stream under way at once: enough for the index to gather them,
# and a bound on memory (a request holds at most 256 vectors).
_MAX_STREAM_REQUESTS = 64

Context = grpc.aio.ServicerContext[Any, Any]


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """The service over queries, reads and writes."""

    def __init__(self, queries: Queries, reads: Reads, writes: Writes, by_filter: ByFilter) -> None:
        self._queries = queries
        self._reads = reads
        self._writes = writes
        self._by_filter = by_filter

    async def Search(
        self, request: search_pb2.SearchRequest, context: Context
    ) -> search_pb2.SearchResponse:
        """Find the neighbours of each query."""
        return await self._queries.answer(request, deadline_of(context))

    async def SearchStream(
        self, requests: AsyncIterator[search_pb2.SearchStreamRequest], context: Context
    ) -> AsyncIterator[search_pb2.SearchStreamResponse]:
        """Answer many requests, each when it is ready."""
        stream = _Stream(self._queries, deadline_of(context))
        async for response in stream.answers(requests):
            yield response

    async def UpsertVectors(
        self, requests: AsyncIterator[search_pb2.UpsertVectorsRequest], context: Context
    ) -> AsyncIterator[search_pb2.UpsertVectorsResponse]:
        """Store a stream of vectors."""
        async for response in self._writes.upsert_stream(requests):
            yield response

    async def UpdateMetadata(
        self, request: search_pb2.UpdateMetadataRequest, context: Context
    ) -> search_pb2.UpdateMetadataResponse:
        """Replace or merge metadata."""
        return await self._writes.update_metadata(request)

    async def DeleteItems(
        self, request: search_pb2.DeleteItemsRequest, context: Context
    ) -> search_pb2.DeleteItemsResponse:
        """Delete items."""
        return await self._writes.delete(request)

    async def DeleteByFilter(
        self, request: search_pb2.DeleteByFilterRequest, context: Context
    ) -> AsyncIterator[search_pb2.DeleteByFilterResponse]:
        """Delete the items that meet a filter."""
        async for response in self._by_filter.delete(request):
            yield response

    async def UpdateByFilter(
        self, request: search_pb2.UpdateByFilterRequest, context: Context
    ) -> AsyncIterator[search_pb2.UpdateByFilterResponse]:
        """Change the metadata of the items that meet a filter."""
        async for response in self._by_filter.update(request):
            yield response

    async def GetItems(
        self, request: search_pb2.GetItemsRequest, context: Context
    ) -> search_pb2.GetItemsResponse:
        """Read items by id."""
        return await self._reads.get(request)

    async def ListItems(
        self, request: search_pb2.ListItemsRequest, context: Context
    ) -> search_pb2.ListItemsResponse:
        """Read a page of items."""
        return await self._reads.list(request)

    async def CountItems(
        self, request: search_pb2.CountItemsRequest, context: Context
    ) -> search_pb2.CountItemsResponse:
        """Count items."""
        return await self._reads.count(request)

    async def CountFacets(
        self, request: search_pb2.CountFacetsRequest, context: Context
    ) -> search_pb2.CountFacetsResponse:
        """Count items by the values of a field."""
        return await self._reads.facets(request)

    async def MakeVectors(
        self, request: search_pb2.MakeVectorsRequest, context: Context
    ) -> search_pb2.MakeVectorsResponse:
        """Make the vectors of images."""
        return await self._queries.vectors_of(request, deadline_of(context))


class _Stream:
    """One SearchStream: a bounded number of requests under way."""

    def __init__(self, queries: Queries, deadline_s: float | None) -> None:
        self._queries = queries
        self._deadline_s = deadline_s
        self._places = asyncio.Semaphore(_MAX_STREAM_REQUESTS)
        # Never more than the places, the end and one failure: puts do not wait.
        self._ready: asyncio.Queue[search_pb2.SearchStreamResponse | BaseException | None] = (
            asyncio.Queue()
        )

    async def answers(
        self, requests: AsyncIterator[search_pb2.SearchStreamRequest]
    ) -> AsyncIterator[search_pb2.SearchStreamResponse]:
        """Yield answers as they are ready."""
        reader = asyncio.create_task(self._read(requests))
        try:
            while (answer := await self._ready.get()) is not None:
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
                self._places.release()
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, requests: AsyncIterator[search_pb2.SearchStreamRequest]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                async for request in requests:
                    # A place is held until the answer was taken: a client that
                    # does not read cannot fill the memory.
                    await self._places.acquire()
                    group.create_task(self._answer(request))
        except* Exception as errors:  # noqa: BLE001 - passed on to the stream, which raises it
            self._ready.put_nowait(errors.exceptions[0])
        else:
            self._ready.put_nowait(None)

    async def _answer(self, request: search_pb2.SearchStreamRequest) -> None:
        response = search_pb2.SearchStreamResponse(request_id=request.request_id)
        try:
            found = await self._queries.answer(request.search, self._deadline_s)
        except LookalikeError as error:
            response.error.CopyFrom(to_item_error(error))
        else:
            response.search.CopyFrom(found)
        self._ready.put_nowait(response)


def deadline_of(context: Context) -> float | None:
    """Return the call's deadline on `time.monotonic()`; None where it has none."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s
