"""Reading, listing and counting items."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.v1 import search_pb2
from search_service import limits
from search_service.catalog import Catalog
from search_service.collection import Collection
from search_service.offload import Offload
from search_service.servicers.filter_translation import filter_from_proto
from search_service.servicers.paging import (
    make_place_token,
    make_token,
    read_place,
    read_token,
    scope_of,
)
from search_service.servicers.translate import fill_item, read_fields, read_path, value_message
from search_service.shard.field_types import Order


class Reads:
    """Reads items in a bounded thread pool."""

    def __init__(self, catalog: Catalog, reads: Offload) -> None:
        self._catalog = catalog
        self._reads = reads

    async def get(self, request: search_pb2.GetItemsRequest) -> search_pb2.GetItemsResponse:
        """Read items by id; missing ones are named."""
        shard = self._catalog.find(request.collection).shard
        limits.check_count("ids", len(request.ids), limits.MAX_ITEMS_PER_MESSAGE)
        ids: Sequence[str] = list(request.ids)
        for index, item_id in enumerate(ids):
            limits.check_id(item_id, f"ids[{index}]")
        found = await self._reads.run(shard.get, ids, read_fields(request.fields))
        response = search_pb2.GetItemsResponse()
        for item_id, item in zip(ids, found, strict=True):
            if item is None:
                response.missing_ids.append(item_id)
            else:
                fill_item(item, response.items.add(), with_id=True)
        return response

    async def list(self, request: search_pb2.ListItemsRequest) -> search_pb2.ListItemsResponse:
        """Read a page of items, sorted by id or by a field."""
        collection = self._catalog.find(request.collection)
        shard = collection.shard
        page_size = limits.page_size(request.page_size)
        if request.HasField("order"):
            return await self._list_ordered(request, collection, page_size)
        scope = scope_of("items", collection.uid, request.filter)
        after_id = read_token(scope, request.page_token)
        items = await self._reads.run(
            shard.list_items,
            filter=filter_from_proto(request.filter),
            after_id=after_id,
            page_size=page_size + 1,  # one more tells whether another page follows
            fields=read_fields(request.fields),
        )
        response = search_pb2.ListItemsResponse()
        for item in items[:page_size]:
            fill_item(item, response.items.add(), with_id=True)
        if len(items) > page_size:
            response.next_page_token = make_token(scope, items[page_size - 1].id)
        return response

    async def count(self, request: search_pb2.CountItemsRequest) -> search_pb2.CountItemsResponse:
        """Count items."""
        shard = self._catalog.find(request.collection).shard
        condition = filter_from_proto(request.filter)
        return search_pb2.CountItemsResponse(count=await self._reads.run(shard.count, condition))

    async def facets(
        self, request: search_pb2.CountFacetsRequest
    ) -> search_pb2.CountFacetsResponse:
        """Count items by the values of a field."""
        shard = self._catalog.find(request.collection).shard
        field = read_path(request.field, "field")
        limit = limits.check_range(
            "limit", request.limit or limits.DEFAULT_FACETS, 1, limits.MAX_FACETS
        )
        condition = filter_from_proto(request.filter)
        found = await self._reads.run(shard.facets, field, condition, limit)
        return search_pb2.CountFacetsResponse(
            facets=[
                search_pb2.Facet(value=value_message(value), count=count)
                for value, count in found.counts
            ],
            items=found.items,
            missing=found.missing,
            other=found.other,
            values=found.values,
        )

    async def _list_ordered(
        self, request: search_pb2.ListItemsRequest, collection: Collection, page_size: int
    ) -> search_pb2.ListItemsResponse:
        order = Order(read_path(request.order.field, "order.field"), request.order.descending)
        scope = scope_of("ordered", collection.uid, request.filter, request.order)
        items = await self._reads.run(
            collection.shard.list_ordered,
            filter=filter_from_proto(request.filter),
            order=order,
            after=read_place(scope, request.page_token),
            page_size=page_size + 1,  # one more tells whether another page follows
            fields=read_fields(request.fields),
        )
        response = search_pb2.ListItemsResponse()
        for each in items[:page_size]:
            fill_item(each.item, response.items.add(), with_id=True)
        if len(items) > page_size:
            response.next_page_token = make_place_token(scope, items[page_size - 1].place)
        return response
