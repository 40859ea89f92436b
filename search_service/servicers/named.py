"""Vectors by name: those of a collection, of an item, and those that a search goes by."""

from __future__ import annotations

import math
from dataclasses import replace

from lookalike.v1 import collection_pb2, search_pb2
from lookalike.wire.errors import InvalidField, Precondition, Reason
from search_service import limits
from search_service.domain.arrays import F32
from search_service.domain.collection import CollectionSpec, NamedVectors
from search_service.embedders import Embedders
from search_service.offload import Offload
from search_service.servicers.targets import Targets, resolve_targets
from search_service.servicers.vectors import unit_vector
from search_service.shard.api import ShardApi
from search_service.shard.summing import Part


async def read_names(
    messages: list[collection_pb2.NamedVectors], embedders: Embedders
) -> tuple[NamedVectors, ...]:
    """Return the names of a new collection, bound to models that are served now.

    Raises:
        InvalidField: a name or dimension is wrong, or a name comes twice.
        NotFound, Unavailable: as `Embedders.describe`.
    """
    limits.check_count("settings.vectors", len(messages), limits.MAX_NAMED_VECTORS, least=0)
    names: dict[str, NamedVectors] = {}
    for index, message in enumerate(messages):
        field = f"settings.vectors[{index}]"
        limits.check_name(message.name, f"{field}.name")
        if message.name in names:
            raise InvalidField(f"{field}.name", f'"{message.name}" comes twice')
        if message.dimension and not message.model:
            dimension, fingerprint = message.dimension, ""
            limits.check_range(
                f"{field}.dimension", dimension, limits.MIN_DIMENSION, limits.MAX_DIMENSION
            )
        else:
            model = await embedders.describe(message.model)
            dimension, fingerprint = model.dimension, model.fingerprint
            if message.dimension not in (0, dimension):
                raise InvalidField(f"{field}.dimension", f"the model makes {dimension:,}")
        names[message.name] = NamedVectors(message.name, dimension, fingerprint)
    return tuple(names.values())


def names_messages(spec: CollectionSpec) -> list[collection_pb2.NamedVectors]:
    """Return the names of a collection as callers see them."""
    return [
        collection_pb2.NamedVectors(
            name=each.name,
            dimension=each.dimension,
            model_fingerprint=each.model_fingerprint,
        )
        for each in spec.vectors
    ]


def read_vectors(
    item: search_pb2.VectorUpsert, spec: CollectionSpec, field: str
) -> tuple[tuple[F32, ...], dict[str, tuple[F32, ...]]]:
    """Return an item's vectors besides its first: those without a name, and by name.

    Raises:
        InvalidField: one is no vector, or of no name of the collection.
        Precondition: one is of another model than its name's.
        LimitExceeded: there are too many of a name.
    """
    found: dict[str, list[F32]] = {"": []}
    for place, message in enumerate(item.vectors):
        where = f"{field}.vectors[{place}]"
        number = spec.number_of(message.name)
        if number is None:
            raise InvalidField(f"{where}.name", _unknown(message.name, spec))
        wanted = spec.of(number)
        if number and wanted.model_fingerprint != message.model_fingerprint:
            raise Precondition(
                f'the vector was made by another model than that of "{message.name}"',
                reason=Reason.MODEL_MISMATCH,
                field=f"{where}.model_fingerprint",
            )
        vector = unit_vector(message.vector_f32_le, wanted.dimension, f"{where}.vector_f32_le")
        found.setdefault(message.name, []).append(vector)
    further = tuple(found.pop(""))
    most = max([1 + len(further), *map(len, found.values())])
    limits.check_count(f"{field}.vectors", most - 1, limits.MAX_ITEM_VECTORS - 1, least=0)
    return further, {name: tuple(vectors) for name, vectors in found.items()}


def read_weights(
    request: search_pb2.SearchRequest, spec: CollectionSpec
) -> list[tuple[int, float]]:
    """Return by which names a search goes, by number, and how much each counts.

    Raises:
        InvalidField: there is no such name, a name comes twice, or a weight is wrong.
    """
    if not request.vectors:
        return [(0, 1.0)]
    found: dict[int, float] = {}
    for place, message in enumerate(request.vectors):
        number = spec.number_of(message.name)
        if number is None or number in found:
            told = _unknown(message.name, spec) if number is None else "comes twice"
            raise InvalidField(f"vectors[{place}].name", told)
        weight = message.weight if message.HasField("weight") else 1.0
        if not 0 < weight <= limits.MAX_VECTOR_WEIGHT or not math.isfinite(weight):
            raise InvalidField(
                f"vectors[{place}].weight",
                f"must be above 0 and at most {limits.MAX_VECTOR_WEIGHT:,.0f}",
            )
        found[number] = weight
    if len(found) > 1:
        _check_sum(request)
    return list(found.items())


async def sum_parts(
    request: search_pb2.SearchRequest,
    weights: list[tuple[int, float]],
    shard: ShardApi,
    embedders: Embedders,
    reads: Offload,
    deadline_s: float | None,
) -> tuple[list[Part], Targets]:
    """Return what is looked for by each name, and the targets of the first.

    Raises:
        LookalikeError: as `resolve_targets`.
    """
    parts: list[Part] = []
    first: Targets | None = None
    names = ["", *(each.name for each in shard.spec.vectors)]
    for number, weight in weights:
        targets = await resolve_targets(
            request.queries, shard, embedders, reads, deadline_s, number
        )
        if first is None:
            first = targets
        else:
            first = replace(first, embed_s=first.embed_s + targets.embed_s)
        parts.append(Part(names[number], number, weight, targets.vectors))
    assert first is not None, "there are two names at least"
    return parts, first


def _check_sum(request: search_pb2.SearchRequest) -> None:
    """Refuse what a sum cannot be made with."""
    for name in ("group_by", "ranking"):
        if request.HasField(name):
            raise InvalidField(name, "goes with one name of vectors, not with several")
    if request.paged or request.page_token:
        raise InvalidField("paged", "goes with one name of vectors, not with several")
    for place, query in enumerate(request.queries):
        if query.examples.mode == search_pb2.EXAMPLE_MODE_BEST_SCORE:
            raise InvalidField(
                f"queries[{place}].examples.mode", "goes with one name of vectors, not with several"
            )
        examples = (*query.examples.positives, *query.examples.negatives)
        # One of the same length would be taken for one of each name.
        if query.vector_f32_le or any(each.vector_f32_le for each in examples):
            raise InvalidField(
                f"queries[{place}]",
                "a vector is of one name: search by several with an image, a text or an id",
            )


def _unknown(name: str, spec: CollectionSpec) -> str:
    known = ", ".join(f'"{each.name}"' for each in spec.vectors) or "none"
    return f'the collection has no vectors of the name "{name[:64]}"; it has {known}'
