"""Searches of the fake service: every item is compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lookalike.v1 import search_pb2
from lookalike.wire import vectors
from lookalike.wire.errors import InvalidField, LimitExceeded, NotFound, Precondition, Reason
from lookalike.wire.vectors import F32
from lookalike_client.testing import rankings, reading
from lookalike_client.testing.answering import check_count
from lookalike_client.testing.filters import Value, matches, meets
from lookalike_client.testing.models import Model
from lookalike_client.testing.pages import MAX_HITS, SearchPage
from lookalike_client.testing.state import FakeCollection, StoredItem

_DEFAULT_LIMIT = 10
_LARGEST_LIMIT = 10_000
_MOST_QUERIES = 256
_LEAST_NORM = 1e-6


def answer(
    collection: FakeCollection, model: Model, request: search_pb2.SearchRequest
) -> search_pb2.SearchResponse:
    """Return the neighbours of each query.

    Raises:
        LookalikeError: a query or an option is wrong.
    """
    check_count("queries", len(request.queries), _MOST_QUERIES)
    if any(each.name for each in request.vectors):
        raise InvalidField("vectors[0].name", "the fake service has no vectors by name")
    if request.limit > _LARGEST_LIMIT:
        raise LimitExceeded("limit", f"must be 1 to {_LARGEST_LIMIT:,}, got {request.limit:,}")
    rankings.check(request)
    check = meets(request.filter)
    within = [item for item in collection.items.values() if matches(check, item.metadata)]
    page = None
    if request.paged or request.page_token:
        page = SearchPage(request, collection.message.uid)
    response = search_pb2.SearchResponse()
    for index, query in enumerate(request.queries):
        target = _Target(collection, model, query, f"queries[{index}]")
        _fill(response.results.add(), within, target, request, page)
        if request.explain:
            plan = response.results[index].plan
            plan.kind = response.results[index].plan_kind
            plan.items, plan.filter_matches = len(collection.items), len(within)
            plan.candidates, plan.gathered_queries = len(within), len(request.queries)
            if target.reranked(request):
                plan.ranked_candidates = len(within)
    return response


class _Target:
    """What a query looks for: `vector`, float32 [D], unit L2, and ids it leaves out."""

    def __init__(
        self, collection: FakeCollection, model: Model, query: search_pb2.Query, where: str
    ) -> None:
        self._collection = collection
        self._model = model
        self.left_out: set[str] = set()
        # Examples that count one by one, the vector in the place of all positives without.
        self.positives: list[F32] = []
        self.negatives: list[F32] = []
        if query.WhichOneof("target") == "examples":
            self.vector = self._of_examples(query.examples, f"{where}.examples")
        else:
            self.vector = self._of(query, where)

    def reranked(self, request: search_pb2.SearchRequest) -> bool:
        """Return whether more than one cosine orders the hits."""
        return bool(self.positives) or rankings.asked(request)

    def _of_examples(self, examples: search_pb2.Examples, where: str) -> F32:
        if not examples.positives:
            raise InvalidField(f"{where}.positives", "at least 1 is needed, got 0")
        positives = [
            self._of(each, f"{where}.positives[{index}]")
            for index, each in enumerate(examples.positives)
        ]
        negatives = [
            self._of(each, f"{where}.negatives[{index}]")
            for index, each in enumerate(examples.negatives)
        ]
        if examples.mode == search_pb2.EXAMPLE_MODE_BEST_SCORE:
            if any(each.HasField("weight") for each in (*examples.positives, *examples.negatives)):
                raise InvalidField(where, "a weight counts in a mean: leave it away")
            self.positives, self.negatives = positives, negatives
            return positives[0]
        mean = _mean(positives, _weights(examples.positives))
        if negatives:
            mean = 2.0 * mean - _mean(negatives, _weights(examples.negatives))
        if float(np.linalg.norm(mean)) < _LEAST_NORM:
            raise InvalidField(where, "the examples cancel out")
        return vectors.normalise(mean.astype(np.float32), field=where)

    def _of(self, part: search_pb2.Query | search_pb2.Example, where: str) -> F32:
        """Return the vector of a query or an example that is not made of others."""
        if isinstance(part, search_pb2.Query):
            kind: str | None = part.WhichOneof("target")
        else:
            kind = part.WhichOneof("kind")
        match kind:
            case "vector_f32_le":
                return self._collection.unit_vector(part.vector_f32_le, f"{where}.vector_f32_le")
            case "id":
                self.left_out.add(part.id)
                stored = self._collection.items.get(part.id)
                if stored is None:
                    raise NotFound(
                        f'there is no item "{part.id}"',
                        reason=Reason.ITEM_NOT_FOUND,
                        field=f"{where}.id",
                    )
                return stored.vector
            case "image":
                return vector_of(self._collection, self._model, part.image, f"{where}.image")
            case "text":
                _check_bound(self._collection, f"{where}.text")
                return self._model.text_vector(part.text, f"{where}.text")
            case _:
                raise InvalidField(where, "set what to look for")


def vector_of(collection: FakeCollection, model: Model, image: bytes, where: str) -> F32:
    """Return the vector of an image for a collection.

    Raises:
        Precondition: its vectors are made by callers.
    """
    _check_bound(collection, where)
    return model.vector(image, where)


def _check_bound(collection: FakeCollection, where: str) -> None:
    if not collection.message.model_fingerprint:
        raise Precondition(
            "the collection holds vectors that callers make: search it by vector",
            reason=Reason.MODEL_MISMATCH,
            field=where,
        )


def _fill(
    result: search_pb2.QueryResult,
    within: Sequence[StoredItem],
    target: _Target,
    request: search_pb2.SearchRequest,
    page: SearchPage | None,
) -> None:
    """Fill an empty result with the hits of one query."""
    filtered = request.HasField("filter") or request.HasField("group_by")
    result.plan_kind = (
        search_pb2.PLAN_KIND_EXACT_FILTERED if filtered else search_pb2.PLAN_KIND_EXACT
    )
    left_out = target.left_out.union(request.exclude_ids)
    if target.reranked(request):
        if request.HasField("group_by"):
            raise InvalidField("group_by", "takes no examples by best score: use their mean")
        positives = target.positives or [target.vector]
        for found in rankings.ranked(within, positives, target.negatives, left_out, request):
            hit = _hit(found.score, found.item, request, found.place)
            hit.rank_score = found.rank_score
            if request.explain:
                hit.ranking.CopyFrom(found.parts)
            result.hits.append(hit)
        return
    nearest = {item.id: item.nearest(target.vector) for item in within}
    scored = [(nearest[item.id][0], item) for item in within if item.id not in left_out]
    if request.HasField("min_score"):
        scored = [pair for pair in scored if pair[0] >= request.min_score]
    scored.sort(key=lambda pair: (-pair[0], pair[1].id))
    limit = request.limit or _DEFAULT_LIMIT
    if page is not None:
        scored = [pair for pair in scored if (-pair[0], pair[1].id) > page.after]
        limit = min(limit, MAX_HITS - page.rank)
        if len(scored) > limit:
            score, last = scored[limit - 1]
            result.next_page_token = page.next_token(score, last.id, page.rank + limit)
    if not request.HasField("group_by"):
        result.hits.extend(
            _hit(score, item, request, nearest[item.id][1]) for score, item in scored[:limit]
        )
        return
    groups: dict[Value, list[search_pb2.Hit]] = {}
    for score, item in scored:
        for value in sorted(reading.values_at(item, request.group_by.field, "group_by.field")):
            hits = groups.setdefault(value, [])
            if len(hits) < (request.group_by.hits_per_group or 1):
                hits.append(_hit(score, item, request, nearest[item.id][1]))
    for value, hits in list(groups.items())[:limit]:
        result.groups.add(value=reading.value_message(value), hits=hits)


def _hit(
    score: float, item: StoredItem, request: search_pb2.SearchRequest, place: int
) -> search_pb2.Hit:
    fields = request.fields
    hit = search_pb2.Hit(id=item.id, score=score, matched_vector=place)
    if any((fields.metadata, fields.facts, fields.thumbnail, fields.vector)):
        hit.item.CopyFrom(reading.item_message(item, fields, with_id=False))
    return hit


def _weights(examples: Sequence[search_pb2.Example]) -> list[float]:
    return [each.weight if each.HasField("weight") else 1.0 for each in examples]


def _mean(rows: Sequence[F32], weights: Sequence[float]) -> npt.NDArray[np.float64]:
    stacked = np.stack(rows).astype(np.float64)
    mean: npt.NDArray[np.float64] = np.average(stacked, axis=0, weights=weights)
    return mean
