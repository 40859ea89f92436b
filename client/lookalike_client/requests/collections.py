"""Requests about collections and their settings."""

from __future__ import annotations

from collections.abc import Mapping

from lookalike.v1 import collection_pb2
from lookalike_client.requests.bounds import choose, not_negative
from lookalike_client.types import DuplicateSettings, IndexSettings

_PRESETS = {
    "fast": collection_pb2.INDEX_PRESET_FAST,
    "balanced": collection_pb2.INDEX_PRESET_BALANCED,
    "accurate": collection_pb2.INDEX_PRESET_ACCURATE,
    "lean": collection_pb2.INDEX_PRESET_LEAN,
}

_SCALARS = {
    "": collection_pb2.SCALAR_TYPE_UNSPECIFIED,
    "f32": collection_pb2.SCALAR_TYPE_F32,
    "f16": collection_pb2.SCALAR_TYPE_F16,
    "bf16": collection_pb2.SCALAR_TYPE_BF16,
    "i8": collection_pb2.SCALAR_TYPE_I8,
    "i4": collection_pb2.SCALAR_TYPE_I4,
}

_POLICIES = {
    "off": collection_pb2.DUPLICATE_POLICY_OFF,
    "accept": collection_pb2.DUPLICATE_POLICY_ACCEPT,
    "flag": collection_pb2.DUPLICATE_POLICY_FLAG,
    "reject": collection_pb2.DUPLICATE_POLICY_REJECT,
}


def create_collection(
    name: str,
    *,
    model: str | None,
    dimension: int,
    index: IndexSettings | None,
    duplicates: DuplicateSettings | None,
    thumbnail_side_px: int = 0,
    partitions: int = 0,
    replicas: int = 0,
    vectors: Mapping[str, str | int] | None = None,
) -> collection_pb2.CreateCollectionRequest:
    """Return a request for a collection; `model` None: vectors of the caller's own."""
    request = collection_pb2.CreateCollectionRequest(
        name=name,
        dimension=not_negative(dimension, "dimension"),
        settings=collection_pb2.CollectionSettings(
            index=index_settings(index),
            duplicates=duplicate_settings(duplicates),
            thumbnails=thumbnail_settings(thumbnail_side_px),
            partitions=not_negative(partitions, "partitions"),
            replicas=not_negative(replicas, "replicas"),
            vectors=[
                collection_pb2.NamedVectors(name=name, dimension=not_negative(of, "vectors"))
                if isinstance(of, int)
                else collection_pb2.NamedVectors(name=name, model=of)
                for name, of in (vectors or {}).items()
            ],
        ),
    )
    if model is None:
        request.external_vectors = True
    else:
        request.model = model
    return request


def duplicate_policy(name: str) -> collection_pb2.DuplicatePolicy.ValueType:
    """Return the policy for one item; "" for the collection's.

    Raises:
        InvalidField: there is no such policy.
    """
    if not name:
        return collection_pb2.DUPLICATE_POLICY_UNSPECIFIED
    return choose("duplicate_policy", name, _POLICIES)


def index_settings(settings: IndexSettings | None) -> collection_pb2.IndexSettings | None:
    """Return graph settings; None leaves all to the default preset."""
    if settings is None:
        return None
    return collection_pb2.IndexSettings(
        preset=choose("preset", settings.preset, _PRESETS),
        scalar_type=choose("scalar_type", settings.scalar_type or "", _SCALARS),
        connectivity=settings.connectivity,
        expansion_add=settings.expansion_add,
        expansion_search=settings.expansion_search,
        graph_dimension=settings.graph_dimension,
    )


def thumbnail_settings(side_px: int | None) -> collection_pb2.ThumbnailSettings | None:
    """Return thumbnail settings; None leaves them unchanged."""
    if side_px is None:
        return None
    return collection_pb2.ThumbnailSettings(side_px=not_negative(side_px, "thumbnail_side_px"))


def duplicate_settings(
    settings: DuplicateSettings | None,
) -> collection_pb2.DuplicateSettings | None:
    """Return duplicate settings; None leaves them off or unchanged."""
    if settings is None:
        return None
    return collection_pb2.DuplicateSettings(
        policy=choose("policy", settings.policy, _POLICIES), threshold=settings.threshold
    )
