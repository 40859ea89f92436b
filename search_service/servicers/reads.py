"""Reading, listing and counting items."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from lookalike.v1 import search_pb2
from lookalike.wire.errors import LimitExceeded
from search_service import limits
from search_service.access.gate import Gate
from search_service.catalog.collection import Collection
from search_service.domain.items import Fields, Order, Place, StoredItem
from search_service.offload import Offload
from search_service.servicers.filter_translation import filter_from_proto
from search_service.servicers.paging import (
    make_place_token,
    make_token,
    read_place,
    read_token,
    scope_of,
)
from search_service.servicers.response_size import ResponseSize
from search_service.servicers.translate import fill_item, read_fields, read_path, value_message

# Where a page begins: an id, or a place in an order.
K = TypeVar("K")
# Items read together, by whether they have large fields: of the largest, 60 MB.
_READ_AT_ONCE = {False: 1_001, True: 200}


class Reads:
    """Reads items in a bounded thread pool."""

    def __init__(self, gate: Gate, reads: Offload) -> None:
        self._gate = gate
        self._reads = reads

    async def get(self, request: search_pb2.GetItemsRequest) -> search_pb2.GetItemsResponse:
        """Read items by id; missing ones are named."""
        shard = self._gate.find(request.collection).shard
        limits.check_count("ids", len(request.ids), limits.MAX_ITEMS_PER_MESSAGE)
        ids: Sequence[str] = list(request.ids)
        for index, item_id in enumerate(ids):
            limits.check_id(item_id, f"ids[{index}]")
        found = await self._reads.run(shard.get, ids, read_fields(request.fields))
        response = search_pb2.GetItemsResponse()
        size = ResponseSize("ids")
        for item_id, item in zip(ids, found, strict=True):
            if item is None:
                response.missing_ids.append(item_id)
            else:
                message = response.items.add()
                fill_item(item, message, with_id=True, as_json=request.fields.metadata_as_json)
                size.add(message)
        return response

    async def list(self, request: search_pb2.ListItemsRequest) -> search_pb2.ListItemsResponse:
        """Read a page of items, sorted by id or by a field."""
        collection = self._gate.find(request.collection)
        shard = collection.shard
        page_size = limits.page_size(request.page_size)
        if request.HasField("order"):
            return await self._list_ordered(request, collection, page_size)
        scope = scope_of("items", collection.uid, request.filter)
        condition, fields = filter_from_proto(request.filter), read_fields(request.fields)

        async def read(after_id: str, count: int) -> list[tuple[str, StoredItem]]:
            items = await self._reads.run(
                shard.list_items,
                filter=condition,
                after_id=after_id,
                page_size=count,
                fields=fields,
            )
            return [(item.id, item) for item in items]

        after_id = read_token(scope, request.page_token)
        page = await _page(
            read, after_id, page_size, fields, as_json=request.fields.metadata_as_json
        )
        response, last = page
        response.next_page_token = "" if last is None else make_token(scope, last)
        return response

    async def count(self, request: search_pb2.CountItemsRequest) -> search_pb2.CountItemsResponse:
        """Count items."""
        shard = self._gate.find(request.collection).shard
        condition = filter_from_proto(request.filter)
        return search_pb2.CountItemsResponse(count=await self._reads.run(shard.count, condition))

    async def facets(
        self, request: search_pb2.CountFacetsRequest
    ) -> search_pb2.CountFacetsResponse:
        """Count items by the values of a field."""
        shard = self._gate.find(request.collection).shard
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
        condition, fields = filter_from_proto(request.filter), read_fields(request.fields)

        async def read(after: Place | None, count: int) -> list[tuple[Place | None, StoredItem]]:
            items = await self._reads.run(
                collection.shard.list_ordered,
                filter=condition,
                order=order,
                after=after,
                page_size=count,
                fields=fields,
            )
            return [(each.place, each.item) for each in items]

        after = read_place(scope, request.page_token)
        as_json = request.fields.metadata_as_json
        page = await _page(read, after, page_size, fields, as_json=as_json)
        response, last = page
        response.next_page_token = "" if last is None else make_place_token(scope, last)
        return response


async def _page(
    read: Callable[[K, int], Awaitable[list[tuple[K, StoredItem]]]],
    after: K,
    page_size: int,
    fields: Fields,
    *,
    as_json: bool,
) -> tuple[search_pb2.ListItemsResponse, K | None]:
    """Fill a page, and say after what the next one begins; None: it is the last.

    Reads some at a time, so that little more than the page is ever in memory.
    """
    response = search_pb2.ListItemsResponse()
    size = ResponseSize("page_size")
    at_once = _READ_AT_ONCE[fields.thumbnail or fields.vector]
    while True:
        # One more tells whether another page follows.
        wanted = min(page_size + 1 - len(response.items), at_once)
        try:
            some = await read(after, wanted)
        except LimitExceeded:  # they have many vectors each
            if wanted == 1:
                raise
            at_once = wanted // 2
            continue
        for place, item in some:
            message = search_pb2.Item()
            fill_item(item, message, with_id=True, as_json=as_json)
            if len(response.items) == page_size or not size.fits(message):
                return response, after
            response.items.append(message)
            after = place
        if len(some) < wanted:
            return response, None
