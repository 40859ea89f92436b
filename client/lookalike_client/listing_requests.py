"""Requests for lists of items and the values of their fields."""

from __future__ import annotations

from lookalike.v1 import search_pb2
from lookalike.wire.errors import InvalidField
from lookalike_client.requests import FilterLike, condition, item_fields, not_negative
from lookalike_client.types import Fields


def list_page(
    collection: str,
    *,
    filter: FilterLike,
    fields: Fields,
    page_size: int,
    order_by: str,
    descending: bool,
    token: str,
) -> search_pb2.ListItemsRequest:
    """Return a request for a page of items; `order_by` "" sorts by id."""
    order = search_pb2.ItemOrder(field=order_by, descending=descending) if order_by else None
    if descending and order is None:
        raise InvalidField("descending", "name the field to sort by: order_by")
    return search_pb2.ListItemsRequest(
        collection=collection,
        filter=condition(filter),
        fields=item_fields(fields),
        page_size=not_negative(page_size, "page_size"),
        page_token=token,
        order=order,
    )


def facets(
    collection: str, field: str, filter: FilterLike, limit: int
) -> search_pb2.CountFacetsRequest:
    """Return a request for the values of a field."""
    return search_pb2.CountFacetsRequest(
        collection=collection,
        field=field,
        filter=condition(filter),
        limit=not_negative(limit, "limit"),
    )
