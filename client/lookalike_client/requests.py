"""Requests of the contract from what callers hand in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypedDict, TypeVar

from lookalike.v1 import collection_pb2, filter_pb2, image_pb2, ingest_pb2, search_pb2
from lookalike.wire.errors import InvalidField
from lookalike_client import structs
from lookalike_client.inputs import (
    DeleteItem,
    ImageItem,
    MetadataItem,
    Query,
    QueuedMutation,
    VectorItem,
    image_bytes,
    vector_bytes,
)
from lookalike_client.types import (
    WITH_METADATA,
    DuplicateSettings,
    Fields,
    ImageFacts,
    IndexSettings,
    Metadata,
)

FilterLike: TypeAlias = filter_pb2.Filter | str | None
T = TypeVar("T")

# The contract's bound on ids, updates and failures in one request.
_MAX_BATCH = 1000

_PRESETS = {
    "fast": collection_pb2.INDEX_PRESET_FAST,
    "balanced": collection_pb2.INDEX_PRESET_BALANCED,
    "accurate": collection_pb2.INDEX_PRESET_ACCURATE,
}
_SCALARS = {
    "": collection_pb2.SCALAR_TYPE_UNSPECIFIED,
    "f32": collection_pb2.SCALAR_TYPE_F32,
    "f16": collection_pb2.SCALAR_TYPE_F16,
    "bf16": collection_pb2.SCALAR_TYPE_BF16,
    "i8": collection_pb2.SCALAR_TYPE_I8,
}
_POLICIES = {
    "off": collection_pb2.DUPLICATE_POLICY_OFF,
    "accept": collection_pb2.DUPLICATE_POLICY_ACCEPT,
    "flag": collection_pb2.DUPLICATE_POLICY_FLAG,
    "reject": collection_pb2.DUPLICATE_POLICY_REJECT,
}


class SearchOptions(TypedDict, total=False):
    """What queries of one request share.

    `filter` is text such as `category = "shoes" and price < 50`, or a message.
    `limit` is the most hits a query (default 10), `min_score` the least cosine.
    `exact` scans everything; `expansion_search` overrides the collection's own.
    `fields` says what a hit carries (default: metadata); `explain` asks for the
    plan. `group_by` names a metadata field: results then hold up to `limit`
    groups, of up to `hits_per_group` hits (default 1) that share its value.
    """

    limit: int
    filter: FilterLike
    min_score: float | None
    exact: bool
    expansion_search: int
    fields: Fields
    exclude_ids: Iterable[str]
    explain: bool
    group_by: str
    hits_per_group: int


def search(
    collection: str, queries: Sequence[Query], options: SearchOptions
) -> search_pb2.SearchRequest:
    """Return a search request."""
    return search_pb2.SearchRequest(
        collection=collection,
        queries=[query.message for query in queries],
        limit=not_negative(options.get("limit", 0), "limit"),
        filter=condition(options.get("filter")),
        min_score=options.get("min_score"),
        exact=options.get("exact", False),
        expansion_search=not_negative(options.get("expansion_search", 0), "expansion_search"),
        fields=item_fields(options.get("fields", WITH_METADATA)),
        exclude_ids=options.get("exclude_ids", ()),
        explain=options.get("explain", False),
        group_by=_group_by(options),
    )


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


def submission(
    mutation: QueuedMutation, *, request_id: int, collection: str, job_id: str
) -> ingest_pb2.SubmitImagesRequest:
    """Return one message of SubmitImages; reads the image if it is a path.

    Raises:
        OSError: the file cannot be read.
        InvalidField: the image is empty or too large, or metadata is not JSON.
    """
    request = ingest_pb2.SubmitImagesRequest(
        request_id=request_id, collection=collection, job_id=job_id
    )
    match mutation:
        case ImageItem():
            request.upload.id = mutation.id
            if mutation.image_uri:
                request.upload.image_uri = mutation.image_uri
            else:
                request.upload.image = image_bytes(mutation.image or b"")
            if mutation.metadata:
                request.upload.metadata.CopyFrom(structs.from_dict(mutation.metadata))
        case MetadataItem():
            request.metadata.id = mutation.id
            request.metadata.metadata.CopyFrom(structs.from_dict(mutation.metadata))
        case DeleteItem():
            request.delete.id = mutation.id
    return request


def metadata_updates(
    collection: str, updates: Mapping[str, Metadata]
) -> Iterator[search_pb2.UpdateMetadataRequest]:
    """Yield requests of as many updates as one may hold."""
    for part in _parts(list(updates.items())):
        messages = [
            search_pb2.MetadataUpdate(id=item_id, metadata=structs.from_dict(metadata))
            for item_id, metadata in part
        ]
        yield search_pb2.UpdateMetadataRequest(collection=collection, updates=messages)


def deletions(collection: str, ids: Sequence[str]) -> Iterator[search_pb2.DeleteItemsRequest]:
    """Yield requests of as many deletions as one may hold."""
    for part in _parts(ids):
        items = [search_pb2.ItemDelete(id=item_id) for item_id in part]
        yield search_pb2.DeleteItemsRequest(collection=collection, items=items)


def gets(
    collection: str, ids: Sequence[str], fields: Fields
) -> Iterator[search_pb2.GetItemsRequest]:
    """Yield requests of as many ids as one may hold."""
    for part in _parts(ids):
        yield search_pb2.GetItemsRequest(
            collection=collection, ids=part, fields=item_fields(fields)
        )


def retries(failure_ids: Sequence[str]) -> Iterator[ingest_pb2.RetryFailuresRequest]:
    """Yield requests of as many failures as one may hold."""
    for part in _parts(failure_ids):
        yield ingest_pb2.RetryFailuresRequest(failure_ids=part)


def create_collection(
    name: str,
    *,
    model: str | None,
    dimension: int,
    index: IndexSettings | None,
    duplicates: DuplicateSettings | None,
) -> collection_pb2.CreateCollectionRequest:
    """Return a request for a collection; `model` None: vectors of the caller's own."""
    request = collection_pb2.CreateCollectionRequest(
        name=name,
        dimension=not_negative(dimension, "dimension"),
        settings=collection_pb2.CollectionSettings(
            index=index_settings(index), duplicates=duplicate_settings(duplicates)
        ),
    )
    if model is None:
        request.external_vectors = True
    else:
        request.model = model
    return request


def index_settings(settings: IndexSettings | None) -> collection_pb2.IndexSettings | None:
    """Return graph settings; None leaves all to the default preset."""
    if settings is None:
        return None
    return collection_pb2.IndexSettings(
        preset=_choose("preset", settings.preset, _PRESETS),
        scalar_type=_choose("scalar_type", settings.scalar_type or "", _SCALARS),
        connectivity=settings.connectivity,
        expansion_add=settings.expansion_add,
        expansion_search=settings.expansion_search,
        graph_dimension=settings.graph_dimension,
    )


def duplicate_settings(
    settings: DuplicateSettings | None,
) -> collection_pb2.DuplicateSettings | None:
    """Return duplicate settings; None leaves them off or unchanged."""
    if settings is None:
        return None
    return collection_pb2.DuplicateSettings(
        policy=_choose("policy", settings.policy, _POLICIES), threshold=settings.threshold
    )


def condition(filter: FilterLike) -> filter_pb2.Filter | None:
    """Return a filter; a string is text that the service parses."""
    if isinstance(filter, str):
        return filter_pb2.Filter(expression=filter) if filter.strip() else None
    return filter


def item_fields(fields: Fields) -> search_pb2.ItemFields:
    """Return which parts of an item to send."""
    return search_pb2.ItemFields(
        metadata=fields.metadata,
        facts=fields.facts,
        thumbnail=fields.thumbnail,
        vector=fields.vector,
        metadata_fields=fields.metadata_fields,
    )


def not_negative(number: int, field: str) -> int:
    """Return `number`, which the contract holds unsigned in 32 bits."""
    if not 0 <= number < 2**32:
        raise InvalidField(field, f"must not be negative or above 4,294,967,295, got {number}")
    return number


def _group_by(options: SearchOptions) -> search_pb2.GroupBy | None:
    field = options.get("group_by", "")
    hits = not_negative(options.get("hits_per_group", 0), "hits_per_group")
    if not field and hits:
        raise InvalidField("hits_per_group", "name the field to group by: group_by")
    return search_pb2.GroupBy(field=field, hits_per_group=hits) if field else None


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _MAX_BATCH):
        yield values[start : start + _MAX_BATCH]


def _choose(field: str, name: str, table: Mapping[str, T]) -> T:
    try:
        return table[name]
    except KeyError as error:
        raise InvalidField(
            field, f"must be one of {', '.join(filter(None, table))}; got {name!r}"
        ) from error
