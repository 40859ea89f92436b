"""Requests that store, change, read and list items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lookalike.v1 import image_pb2, search_pb2
from lookalike.wire.errors import InvalidField
from lookalike_client import structs
from lookalike_client.inputs import VectorItem, vector_bytes
from lookalike_client.requests.bounds import not_negative, parts
from lookalike_client.requests.filters import FilterLike, condition
from lookalike_client.types import Fields, ImageFacts, Metadata


def vector_upsert(item: VectorItem) -> search_pb2.VectorUpsert:
    """Return one item of UpsertVectors."""
    return search_pb2.VectorUpsert(
        id=item.id,
        vector_f32_le=vector_bytes(item.vector),
        metadata=None if item.metadata is None else structs.from_dict(item.metadata),
        model_fingerprint=item.model_fingerprint,
        facts=None if item.facts is None else image_facts(item.facts),
    )


def image_facts(facts: ImageFacts) -> image_pb2.ImageFacts:
    """Return what an embedder said of an image.

    Raises:
        InvalidField: a digest is not hexadecimal.
    """
    try:
        return image_pb2.ImageFacts(
            width_px=facts.width_px,
            height_px=facts.height_px,
            size_bytes=facts.size_bytes,
            sha256=bytes.fromhex(facts.sha256),
            perceptual_hash=int(facts.perceptual_hash, 16),
            sharpness=facts.sharpness,
            format=facts.format,
            thumbnail_webp=facts.thumbnail_webp,
        )
    except (TypeError, ValueError) as error:
        raise InvalidField("facts", "hold a value that facts of an image cannot have") from error


def metadata_updates(
    collection: str, updates: Mapping[str, Metadata]
) -> Iterator[search_pb2.UpdateMetadataRequest]:
    """Yield requests of as many updates as one may hold."""
    for part in parts(list(updates.items())):
        messages = [
            search_pb2.MetadataUpdate(id=item_id, metadata=structs.from_dict(metadata))
            for item_id, metadata in part
        ]
        yield search_pb2.UpdateMetadataRequest(collection=collection, updates=messages)


def deletions(collection: str, ids: Sequence[str]) -> Iterator[search_pb2.DeleteItemsRequest]:
    """Yield requests of as many deletions as one may hold."""
    for part in parts(ids):
        items = [search_pb2.ItemDelete(id=item_id) for item_id in part]
        yield search_pb2.DeleteItemsRequest(collection=collection, items=items)


def gets(
    collection: str, ids: Sequence[str], fields: Fields
) -> Iterator[search_pb2.GetItemsRequest]:
    """Yield requests of as many ids as one may hold."""
    for part in parts(ids):
        yield search_pb2.GetItemsRequest(
            collection=collection, ids=part, fields=item_fields(fields)
        )


def list_page(
    collection: str,
    *,
    filter: FilterLike,
    fields: Fields,
    page_size: int,
    order_by: str,
    descending: bool,
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
        order=order,
    )


def item_fields(fields: Fields) -> search_pb2.ItemFields:
    """Return which parts of an item to send."""
    return search_pb2.ItemFields(
        metadata=fields.metadata,
        facts=fields.facts,
        thumbnail=fields.thumbnail,
        vector=fields.vector,
        metadata_fields=fields.metadata_fields,
        metadata_as_json=fields.metadata,
    )
