"""What a request looks for, as unit vectors: its vectors, images, ids and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lookalike.v1 import search_pb2
from lookalike.wire import vectors
from lookalike.wire.errors import InvalidField
from search_service import limits
from search_service.domain.arrays import F32, F64
from search_service.domain.collection import CollectionSpec
from search_service.domain.ranking import BestScore
from search_service.domain.reading import Reading
from search_service.embedders import Embedders
from search_service.offload import Offload
from search_service.servicers.vectors import unit_matrix
from search_service.servicers.wanted import Part, Wanted
from search_service.shard.api import ShardApi

# Of the negatives' mean: v = norm(2 mean(positives) - mean(negatives)).
_POSITIVE_WEIGHT = 2.0
_MODES = frozenset(search_pb2.ExampleMode.values())


@dataclass(frozen=True, slots=True)
class Targets:
    """Query vectors, float32 [B, D], unit L2; ids to leave out of each one's hits.

    `best_scores` has an element for each query, where one has examples that count one
    by one.
    """

    vectors: F32
    exclude: Sequence[frozenset[str]]
    embed_s: float
    best_scores: tuple[BestScore | None, ...] = ()


async def resolve_targets(
    queries: Sequence[search_pb2.Query],
    shard: ShardApi,
    embedders: Embedders,
    offload: Offload,
    deadline_s: float | None,
    space: int = 0,
    read_position: int = 0,
) -> Targets:
    """Return the vectors of `queries`, in order; by the name with the number `space`.

    Raises:
        InvalidField: a target is missing or wrong, with its path.
        NotFound: an id is not stored.
        Precondition: an image for a collection without a model.
        Unavailable, DeadlineExceeded, Exhausted: the embedder.
    """
    spec = shard.spec.of(space)
    # A query without a vector has an empty one here, which is none.
    matrix = unit_matrix([query.vector_f32_le for query in queries], spec.dimension)
    if matrix is not None:
        return Targets(matrix, (), 0.0)
    wanted = Wanted(spec)
    builders = [
        _read_query(query, f"queries[{index}]", wanted) for index, query in enumerate(queries)
    ]
    name = shard.spec.vectors[space - 1].name if space else ""
    await wanted.read_ids(shard, offload, name, Reading(read_position, deadline_s))
    embed_s = await wanted.embed(embedders, deadline_s)
    return Targets(
        np.stack([target.vector(wanted) for target in builders]),
        [stored_ids(query) for query in queries],
        embed_s,
        _best_scores(builders, wanted),
    )


def stored_ids(query: search_pb2.Query) -> frozenset[str]:
    """Return the stored items that a query names, which are left out of its hits."""
    examples = (*query.examples.positives, *query.examples.negatives)
    return frozenset(id for id in (query.id, *(each.id for each in examples)) if id)


def _best_scores(targets: Sequence[_Target], wanted: Wanted) -> tuple[BestScore | None, ...]:
    if not any(target.best_score for target in targets):
        return ()
    positives = sum(len(target.positives) for target in targets if target.best_score)
    limits.check_count("queries", positives, limits.MAX_QUERIES)
    return tuple(target.examples(wanted) if target.best_score else None for target in targets)


async def vectors_of_images(
    images: Sequence[bytes], spec: CollectionSpec, embedders: Embedders, deadline_s: float | None
) -> list[F32]:
    """Return the vectors of encoded images, float32 [D] each, unit L2.

    Raises:
        Precondition: the collection has no model.
        LookalikeError: as `Embedders.embed_all` does, naming `images[n]`.
    """
    wanted = Wanted(spec)
    for place, image in enumerate(images):
        wanted.part_of_image(image, f"images[{place}]")
    await wanted.embed(embedders, deadline_s)
    return wanted.embedded


@dataclass(frozen=True, slots=True)
class _Target:
    """One query: parts to be near to, and parts to be far from."""

    field: str
    positives: Sequence[Part]
    negatives: Sequence[Part]
    best_score: bool = False

    def examples(self, wanted: Wanted) -> BestScore:
        positives = np.stack([part.vector(wanted) for part in self.positives])
        negatives = [part.vector(wanted) for part in self.negatives]
        none = np.empty((0, positives.shape[1]), dtype=np.float32)
        return BestScore(positives, np.stack(negatives) if negatives else none)

    def vector(self, wanted: Wanted) -> F32:
        if self.best_score:
            return self.positives[0].vector(wanted)
        if len(self.positives) == 1 and not self.negatives:
            return self.positives[0].vector(wanted)
        mean = _mean(self.positives, wanted)
        if self.negatives:
            mean = _POSITIVE_WEIGHT * mean - _mean(self.negatives, wanted)
        # Examples that cancel out leave rounding noise, which is no direction.
        if float(np.linalg.norm(mean)) < 1e-6:
            raise InvalidField(
                self.field, "the examples cancel out: no direction is left to search in"
            )
        return vectors.normalise(mean.astype(np.float32), field=self.field)


def _read_query(query: search_pb2.Query, field: str, wanted: Wanted) -> _Target:
    kind = query.WhichOneof("target")
    if kind == "vector_f32_le":
        part = wanted.part_of_vector(query.vector_f32_le, f"{field}.vector_f32_le")
        return _Target(field, (part,), ())
    if kind == "image":
        return _Target(field, (wanted.part_of_image(query.image, f"{field}.image"),), ())
    if kind == "text":
        return _Target(field, (wanted.part_of_text(query.text, f"{field}.text"),), ())
    if kind == "id":
        part = wanted.part_of_id(query.id, f"{field}.id")
        return _Target(field, (part,), ())
    if kind == "examples":
        return _read_examples(query.examples, f"{field}.examples", wanted)
    raise InvalidField(field, "set a target: vector_f32_le, image, id, examples or text")


def _read_examples(examples: search_pb2.Examples, field: str, wanted: Wanted) -> _Target:
    limits.check_count(f"{field}.positives", len(examples.positives), limits.MAX_EXAMPLES)
    limits.check_count(f"{field}.negatives", len(examples.negatives), limits.MAX_EXAMPLES, least=0)
    positives = [
        _read_example(example, f"{field}.positives[{index}]", wanted)
        for index, example in enumerate(examples.positives)
    ]
    negatives = [
        _read_example(example, f"{field}.negatives[{index}]", wanted)
        for index, example in enumerate(examples.negatives)
    ]
    if examples.mode not in _MODES:
        raise InvalidField(f"{field}.mode", "no such way to count examples: set an ExampleMode")
    best_score = examples.mode == search_pb2.EXAMPLE_MODE_BEST_SCORE
    for kind, given in (("positives", examples.positives), ("negatives", examples.negatives)):
        for index, example in enumerate(given):
            if example.HasField("weight"):
                _check_weight(example.weight, f"{field}.{kind}[{index}].weight", best_score)
    return _Target(field, positives, negatives, best_score)


def _check_weight(weight: float, field: str, best_score: bool) -> None:
    if best_score:
        raise InvalidField(field, "counts in a mean: leave it away with BEST_SCORE")
    if not 0 < weight <= limits.MAX_EXAMPLE_WEIGHT:  # not NaN either
        raise InvalidField(field, f"must be above 0 and at most {limits.MAX_EXAMPLE_WEIGHT:,.0f}")


def _read_example(example: search_pb2.Example, field: str, wanted: Wanted) -> Part:
    part = _part_of(example, field, wanted)
    return replace(part, weight=example.weight) if example.HasField("weight") else part


def _part_of(example: search_pb2.Example, field: str, wanted: Wanted) -> Part:
    kind = example.WhichOneof("kind")
    if kind == "id":
        return wanted.part_of_id(example.id, f"{field}.id")
    if kind == "vector_f32_le":
        return wanted.part_of_vector(example.vector_f32_le, f"{field}.vector_f32_le")
    if kind == "image":
        return wanted.part_of_image(example.image, f"{field}.image")
    if kind == "text":
        return wanted.part_of_text(example.text, f"{field}.text")
    raise InvalidField(field, "set an example: id, vector_f32_le, image or text")


def _mean(parts: Sequence[Part], wanted: Wanted) -> F64:
    rows = np.stack([part.vector(wanted) for part in parts])
    mean: F64 = np.average(rows.astype(np.float64), axis=0, weights=[part.weight for part in parts])
    return mean
