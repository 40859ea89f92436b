"""`lookalike.v1.SearchService`: translates and delegates."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from lookalike.v1 import search_pb2, search_pb2_grpc
from lookalike.wire.errors import LookalikeError
from lookalike.wire.status import to_item_error
from search_service.servicers.by_filter import ByFilter
from search_service.servicers.queries import Queries
from search_service.servicers.reads import Reads
from search_service.servicers.request_stream import RequestStream, deadline_of
from search_service.servicers.writes import Writes

SERVICE_NAME = "lookalike.v1.SearchService"

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
        deadline_s = deadline_of(context)

        async def answer(
            request: search_pb2.SearchStreamRequest,
        ) -> search_pb2.SearchStreamResponse:
            return await self._streamed(request, deadline_s)

        stream = RequestStream(answer)
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

    async def _streamed(
        self, request: search_pb2.SearchStreamRequest, deadline_s: float | None
    ) -> search_pb2.SearchStreamResponse:
        response = search_pb2.SearchStreamResponse(request_id=request.request_id)
        try:
            found = await self._queries.answer(request.search, deadline_s)
        except LookalikeError as error:
            response.error.CopyFrom(to_item_error(error))
        else:
            response.search.CopyFrom(found)
        return response
