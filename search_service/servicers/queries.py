"""Search requests, from the message to the answer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace

from lookalike.v1 import search_pb2
from lookalike.wire.errors import InvalidField, LimitExceeded
from lookalike.wire.traces import spans
from lookalike.wire.vectors import encode
from search_service import limits
from search_service.access.gate import Gate
from search_service.domain.conditions import Filter
from search_service.domain.items import Fields
from search_service.domain.queries import GroupBy, QueryOutcome, QueryPlan, QueryRequest
from search_service.drift.watcher import DriftWatcher
from search_service.embedders import Embedders
from search_service.handover import Handover
from search_service.metrics import SearchMetrics
from search_service.offload import Offload
from search_service.sampler import RecallSampler
from search_service.servicers.filter_translation import filter_from_proto
from search_service.servicers.named import read_weights, sum_parts
from search_service.servicers.rankings import (
    check_ranking,
    check_work,
    fill_ranking,
    read_ranking,
)
from search_service.servicers.response_size import ResponseSize
from search_service.servicers.search_pages import read_page
from search_service.servicers.targets import Targets, resolve_targets, vectors_of_images
from search_service.servicers.translate import fill_result, read_fields, read_path
from search_service.shard.api import ShardApi
from search_service.shard.summing import Part, search_sum

_NO_FIELDS = Fields()
# Texts lie elsewhere than images in the space of both: a reference of images says nothing
# of them.
_NEW_TARGETS = frozenset({"vector_f32_le", "image"})
# A lone caller's next request takes longer to come: it must have the answer first.
_CLOSE_S = 0.0002
# Callers who came together will again. While one is answered here, the others wait: of
# 16, one query a request, each so answered costs the index calls that they would share.
_CROWD_LASTS_S = 0.25


class Queries:
    """Answers search requests."""

    def __init__(
        self,
        gate: Gate,
        embedders: Embedders,
        reads: Offload,
        metrics: SearchMetrics,
        sampler: RecallSampler,
        watcher: DriftWatcher,
        handover: Handover,
    ) -> None:
        self._gate = gate
        self._embedders = embedders
        self._reads = reads
        self._metrics = metrics
        self._sampler = sampler
        self._watcher = watcher
        self._handover = handover
        self._asking = 0
        # When a query was last answered on this thread, and when it last was one of several.
        self._answered_s = self._crowded_s = -math.inf

    async def answer(
        self, request: search_pb2.SearchRequest, deadline_s: float | None
    ) -> search_pb2.SearchResponse:
        """Return the neighbours of each query; `deadline_s` is on `time.monotonic()`.

        Raises:
            LookalikeError: see `resolve_targets` and `ShardApi.query`.
        """
        collection = self._gate.find(request.collection)
        shard = collection.shard
        check_request(request)
        condition = filter_from_proto(request.filter) if request.HasField("filter") else None
        weights = read_weights(request, shard.spec)
        space = weights[0][0]
        page = read_page(request, collection.uid, shard.spec.of(space).dimension)
        targets = None if page is None else page.targets()
        parts: list[Part] = []
        if len(weights) > 1:
            parts, targets = await sum_parts(
                request, weights, shard, self._embedders, self._reads, deadline_s
            )
        elif targets is None:
            targets = await resolve_targets(
                *(request.queries, shard, self._embedders, self._reads, deadline_s, space),
                read_position=request.read_position,
            )
        query = replace(read_request(request, targets, condition, deadline_s), space=space)
        if page is not None:
            query = replace(query, limit=page.limit, after=page.after)
        check_work(query)
        if parts:
            outcomes = await self._reads.run(search_sum, shard, parts, query)
        else:
            outcomes = await self._ask(shard, query)
        response = search_pb2.SearchResponse()
        size = ResponseSize("limit")
        remarks: list[str] = []
        if request.explain and condition is not None:
            remarks = await self._reads.run(shard.remarks, condition)
        for outcome in outcomes:
            result = response.results.add()
            fill_result(
                outcome,
                result,
                explain=request.explain,
                embed_s=targets.embed_s,
                as_json=request.fields.metadata_as_json,
            )
            if request.explain:
                result.plan.filter_remarks.extend(remarks)
            if page is not None:
                result.next_page_token = page.next_token(outcome.page_end, query.vectors[0])
            if query.reranked:
                for hit, message in zip(outcome.hits, result.hits, strict=True):
                    if hit.ranking is not None:
                        fill_ranking(hit.ranking, message, explain=request.explain)
            size.add(result)
        if missing := outcomes[0].missing_partitions:
            response.partial.partitions = shard.spec.partitions
            response.partial.missing_partitions.extend(missing)
        self._metrics.observe_queries(outcomes, targets.embed_s)
        _say_stages(outcomes[0].plan)
        if page is None and collection.is_whole and not (space or parts or missing):
            self._sampler.offer(collection, query, outcomes)
            self._watcher.offer(collection, query, outcomes, _new_queries(request))
        return response

    async def _ask(self, shard: ShardApi, query: QueryRequest) -> list[QueryOutcome]:
        """Have a query answered: at once if it is alone, else together with others."""
        self._asking += 1
        try:
            if await self._is_alone() and (outcomes := shard.query_here(query)) is not None:
                self._answered_s = time.monotonic()
                return outcomes
            return await self._handover.wait(shard.query(query))
        finally:
            self._asking -= 1

    async def _is_alone(self) -> bool:
        """Say whether there was one request at a time lately."""
        now_s = time.monotonic()
        if self._asking == 1 and now_s - self._answered_s < _CLOSE_S:
            # It may have waited for the one before it, and so may others: let them come.
            await asyncio.sleep(0)
        if self._asking > 1:
            self._crowded_s = now_s
        return now_s - self._crowded_s > _CROWD_LASTS_S

    async def vectors_of(
        self, request: search_pb2.MakeVectorsRequest, deadline_s: float | None
    ) -> search_pb2.MakeVectorsResponse:
        """Return the vectors of images; `deadline_s` is on `time.monotonic()`.

        Raises:
            LookalikeError: see `vectors_of_images`.
        """
        spec = self._gate.find(request.collection).shard.spec
        limits.check_count("images", len(request.images), limits.MAX_QUERIES)
        made = await vectors_of_images(request.images, spec, self._embedders, deadline_s)
        return search_pb2.MakeVectorsResponse(
            vectors_f32_le=[encode(vector) for vector in made],
            model_fingerprint=spec.model_fingerprint,
        )


def read_request(
    request: search_pb2.SearchRequest,
    targets: Targets,
    condition: Filter | None,
    deadline_s: float | None,
) -> QueryRequest:
    """Return a checked request, with its targets and filter, in the shard's terms."""
    return QueryRequest(
        vectors=targets.vectors,
        limit=request.limit or limits.DEFAULT_LIMIT,
        filter=condition,
        min_score=request.min_score if request.HasField("min_score") else None,
        exact=request.exact,
        expansion_search=request.expansion_search,
        exclude=_excluded(targets, request.exclude_ids),
        fields=read_fields(request.fields) if request.HasField("fields") else _NO_FIELDS,
        deadline_s=deadline_s,
        group_by=_group_by(request),
        ranking=read_ranking(request.ranking) if request.HasField("ranking") else None,
        best_scores=targets.best_scores,
        read_position=request.read_position,
        allow_partial=request.allow_partial,
    )


def check_request(request: search_pb2.SearchRequest) -> None:
    """Check the limits of a request.

    Raises:
        InvalidField: a value is outside its range, with its path.
    """
    limits.check_count("queries", len(request.queries), limits.MAX_QUERIES)
    if request.limit:
        limits.check_range("limit", request.limit, 1, limits.MAX_LIMIT)
    if request.expansion_search:
        limits.check_range(
            "expansion_search",
            request.expansion_search,
            limits.MIN_EXPANSION,
            limits.MAX_EXPANSION_SEARCH,
        )
    _check_groups(request)
    check_ranking(request)
    _check_hits(request)
    if not math.isfinite(request.min_score):
        raise InvalidField("min_score", "must be a finite number")
    limits.check_count("exclude_ids", len(request.exclude_ids), limits.MAX_EXCLUDE_IDS, least=0)
    for index, item_id in enumerate(request.exclude_ids):
        limits.check_id(item_id, f"exclude_ids[{index}]")


def _say_stages(plan: QueryPlan) -> None:
    spans.past(
        [
            ("filter", plan.filter_s),
            ("wait", plan.wait_s),
            ("search", plan.search_s - plan.rerank_s),
            ("rerank", plan.rerank_s),
        ],
        lookalike__plan=plan.kind.name.lower(),
        lookalike__candidates=plan.candidates,
        lookalike__gathered_queries=plan.gathered_queries,
    )


def _new_queries(request: search_pb2.SearchRequest) -> list[int]:
    """Return the places of queries by vector or image, which nothing stored answers."""
    return [
        place
        for place, query in enumerate(request.queries)
        if query.WhichOneof("target") in _NEW_TARGETS
    ]


def _group_by(request: search_pb2.SearchRequest) -> GroupBy | None:
    if not request.HasField("group_by"):
        return None
    by = request.group_by
    return GroupBy(read_path(by.field, "group_by.field"), by.hits_per_group or 1)


def _check_groups(request: search_pb2.SearchRequest) -> None:
    by = _group_by(request)
    if by is None:
        return
    limits.check_range("group_by.hits_per_group", by.hits_per_group, 1, limits.MAX_HITS_PER_GROUP)
    if (request.limit or limits.DEFAULT_LIMIT) * by.hits_per_group > limits.MAX_GROUPED_HITS:
        raise LimitExceeded(
            "group_by.hits_per_group",
            f"times limit must be at most {limits.MAX_GROUPED_HITS:,}: ask for fewer of one",
        )


def _check_hits(request: search_pb2.SearchRequest) -> None:
    limit = request.limit or limits.DEFAULT_LIMIT
    each = (request.group_by.hits_per_group or 1) if request.HasField("group_by") else 1
    hits = len(request.queries) * limit * each
    if hits > limits.MAX_HITS:
        raise LimitExceeded(
            "limit",
            f"times the number of queries is {hits:,}; an answer holds at most "
            f"{limits.MAX_HITS:,} hits: ask for fewer, or send the queries in several requests",
        )


def _excluded(targets: Targets, exclude_ids: Sequence[str]) -> Sequence[frozenset[str]]:
    if not exclude_ids:
        return targets.exclude
    everywhere = frozenset(exclude_ids)
    if not targets.exclude:
        return [everywhere] * len(targets.vectors)
    return [everywhere | own for own in targets.exclude]
