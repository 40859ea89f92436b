"""Requests that change all items that meet a filter."""

from __future__ import annotations

from lookalike.v1 import search_pb2
from lookalike_client import structs
from lookalike_client.requests.filters import FilterLike, condition
from lookalike_client.types import MetadataLike


def delete_by_filter(
    collection: str, filter: FilterLike, *, all_items: bool, dry_run: bool
) -> search_pb2.DeleteByFilterRequest:
    """Return a request that deletes what meets a filter."""
    return search_pb2.DeleteByFilterRequest(
        collection=collection, filter=condition(filter), all=all_items, dry_run=dry_run
    )


def update_by_filter(
    collection: str,
    metadata: MetadataLike,
    filter: FilterLike,
    *,
    merge: bool,
    all_items: bool,
    dry_run: bool,
) -> search_pb2.UpdateByFilterRequest:
    """Return a request that changes the metadata of what meets a filter."""
    return search_pb2.UpdateByFilterRequest(
        collection=collection,
        filter=condition(filter),
        all=all_items,
        dry_run=dry_run,
        metadata=structs.from_dict(metadata),
        mode=metadata_mode(merge),
    )


def metadata_mode(merge: bool) -> search_pb2.MetadataMode.ValueType:
    """Return whether metadata is merged or replaces."""
    return search_pb2.METADATA_MODE_MERGE if merge else search_pb2.METADATA_MODE_REPLACE
