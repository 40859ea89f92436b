"""Requests that store, change, read and list items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lookalike.v1 import image_pb2, search_pb2
from lookalike.wire.errors import InvalidField
from lookalike_client import calls, structs
from lookalike_client.inputs import VectorItem, vector_bytes
from lookalike_client.lists import listed, texts
from lookalike_client.metadata_values import described
from lookalike_client.requests.bounds import check_id, check_size, naming, not_negative, parts
from lookalike_client.requests.changes import metadata_mode
from lookalike_client.requests.collections import duplicate_policy
from lookalike_client.requests.filters import FilterLike, condition
from lookalike_client.types import Fields, ImageFacts, MetadataLike, MutationResult, MutationStatus


def vector_upsert(item: VectorItem) -> search_pb2.VectorUpsert:
    """Return one item of UpsertVectors; without metadata it keeps what is stored.

    Raises:
        InvalidField: a part of it cannot be sent; the message names the item.
    """
    if not isinstance(item, VectorItem):
        raise InvalidField("items", f"must be VectorItems, got {type(item).__name__}")
    with naming(item.id):
        check_id(item.id)
        message = search_pb2.VectorUpsert(
            id=item.id,
            vector_f32_le=vector_bytes(item.vector),
            vectors=[
                search_pb2.ItemVector(vector_f32_le=vector_bytes(each))
                for each in listed("further_vectors", item.further_vectors)
            ]
            + [
                search_pb2.ItemVector(
                    vector_f32_le=vector_bytes(each),
                    name=name,
                    model_fingerprint=named.model_fingerprint,
                )
                for name, named in item.named_vectors.items()
                for each in listed("named_vectors", named.vectors)
            ],
            metadata=None if item.metadata is None else structs.from_dict(item.metadata),
            model_fingerprint=item.model_fingerprint,
            facts=None if item.facts is None else image_facts(item.facts),
            keep_metadata=item.metadata is None,
            duplicate_policy=duplicate_policy(item.duplicate_policy),
        )
        check_size(message)
    return message


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
            truncated=facts.truncated,
            blank=facts.blank,
            pixel_sha256=bytes.fromhex(facts.pixel_sha256),
            grey_webp=facts.grey_webp,
            pdq_hash=bytes.fromhex(facts.pdq_hash),
            pdq_quality=facts.pdq_quality,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidField("facts", "hold a value that facts of an image cannot have") from error


class MetadataUpdates:
    """Updates of metadata: those that can be sent, in requests, and those that cannot."""

    def __init__(
        self, collection: str, updates: Mapping[str, MetadataLike], *, merge: bool = False
    ) -> None:
        """Read the updates.

        Raises:
            InvalidField: `updates` is no mapping.
        """
        if not isinstance(updates, Mapping):
            raise InvalidField("updates", f"must be a mapping, got {type(updates).__name__}")
        self._collection = collection
        mode = metadata_mode(merge)
        self._messages: list[search_pb2.MetadataUpdate] = []
        # One an update, in their order; None for one that is sent.
        self._refused: list[MutationResult | None] = []
        for item_id, metadata in updates.items():
            try:
                with naming(item_id):
                    check_id(item_id)
                    struct = structs.from_dict(metadata)
            except InvalidField as error:
                told = item_id if isinstance(item_id, str) else described(item_id)
                self._refused.append(MutationResult(told, MutationStatus.FAILED, 0, error))
            else:
                self._refused.append(None)
                self._messages.append(
                    search_pb2.MetadataUpdate(id=item_id, metadata=struct, mode=mode)
                )

    def requests(self) -> Iterator[search_pb2.UpdateMetadataRequest]:
        """Yield requests of as many updates as one may hold."""
        for part in parts(self._messages, search_pb2.MetadataUpdate.ByteSize):
            yield search_pb2.UpdateMetadataRequest(collection=self._collection, updates=part)

    def results(self, answers: Sequence[MutationResult]) -> list[MutationResult]:
        """Return one result an update, in their order, from those of what was sent."""
        sent = iter(calls.same_length(list(answers), self._messages))
        return [next(sent) if each is None else each for each in self._refused]


def deletions(collection: str, ids: Sequence[str]) -> Iterator[search_pb2.DeleteItemsRequest]:
    """Yield requests of as many deletions as one may hold."""
    for part in parts(texts("ids", ids)):
        items = [search_pb2.ItemDelete(id=item_id) for item_id in part]
        yield search_pb2.DeleteItemsRequest(collection=collection, items=items)


def gets(
    collection: str, ids: Sequence[str], fields: Fields
) -> Iterator[search_pb2.GetItemsRequest]:
    """Yield requests of as many ids as one may hold."""
    for part in parts(texts("ids", ids)):
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
        metadata_fields=texts("metadata_fields", fields.metadata_fields),
        metadata_as_json=fields.metadata,
    )
