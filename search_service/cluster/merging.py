"""Answers of all partitions made into one, as one shard with all items would give it.

Scores are exact cosines and equal ones go by id, so the best of all partitions' best are
the best: no partition needs to know of another.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from search_service.domain.collection import RecallMeasurement, ShardStats
from search_service.domain.conditions import Scalar
from search_service.domain.items import Facets, Order, OrderedItem, StoredItem
from search_service.domain.queries import (
    Hit,
    HitGroup,
    HitPlace,
    PlanKind,
    QueryOutcome,
    QueryPlan,
    QueryRequest,
)
from search_service.shard.metadata.ordering import sort_key


def merge_outcomes(
    parts: Sequence[Sequence[QueryOutcome]],
    request: QueryRequest,
    *,
    missing_partitions: tuple[int, ...] = (),
) -> list[QueryOutcome]:
    """Return the outcome of each query from those of at least one partition."""
    return [
        _merge_query(outcomes, request, missing_partitions) for outcomes in zip(*parts, strict=True)
    ]


def _merge_query(
    outcomes: Sequence[QueryOutcome], request: QueryRequest, missing: tuple[int, ...]
) -> QueryOutcome:
    plan = _merge_plans([outcome.plan for outcome in outcomes])
    if request.group_by is not None:
        groups = _merge_groups(outcomes, request)
        return QueryOutcome((), plan, groups, missing_partitions=missing)
    if request.ranking is not None:
        hits = _best_ranked(outcomes, request)
        plan = replace(plan, ranked_candidates=min(plan.ranked_candidates, request.candidates))
        return QueryOutcome(hits, plan, missing_partitions=missing)
    merged = heapq.merge(*(outcome.hits for outcome in outcomes), key=_order)
    hits = [hit for hit, _ in zip(merged, range(request.limit), strict=False)]
    return QueryOutcome(hits, plan, (), _page_end(outcomes, hits, request), missing)


def _order(hit: Hit) -> tuple[float, str]:
    return -hit.score, hit.id


def _page_end(
    outcomes: Sequence[QueryOutcome], hits: Sequence[Hit], request: QueryRequest
) -> HitPlace | None:
    """Return where a page ended, if others may follow: in any partition, or cut off here."""
    if request.after is None or len(hits) < request.limit:
        return None
    cut = sum(len(outcome.hits) for outcome in outcomes) > len(hits)
    if not cut and all(outcome.page_end is None for outcome in outcomes):
        return None
    return HitPlace(hits[-1].score, hits[-1].id, request.after.rank + request.limit)


def _best_ranked(outcomes: Sequence[QueryOutcome], request: QueryRequest) -> list[Hit]:
    """Choose from the nearest of all, as many as one shard would: each gave that many."""
    nearest = heapq.nsmallest(
        request.candidates, chain.from_iterable(outcome.hits for outcome in outcomes), key=_order
    )
    return heapq.nsmallest(request.limit, nearest, key=_rank_order)


def _rank_order(hit: Hit) -> tuple[float, str]:
    return -(hit.score if hit.ranking is None else hit.ranking.rank_score), hit.id


def _merge_groups(outcomes: Sequence[QueryOutcome], request: QueryRequest) -> list[HitGroup]:
    """Join groups of one hit each: the best of a value is the best of its partition's."""
    best: dict[tuple[int, Scalar], HitGroup] = {}
    for group in chain.from_iterable(outcome.groups for outcome in outcomes):
        key = sort_key(group.value)
        held = best.get(key)
        if held is None or _order(group.hits[0]) < _order(held.hits[0]):
            best[key] = group
    return heapq.nsmallest(request.limit, best.values(), key=_group_order)


def _group_order(group: HitGroup) -> tuple[tuple[float, str], tuple[int, Scalar]]:
    return _order(group.hits[0]), sort_key(group.value)


def _merge_plans(plans: Sequence[QueryPlan]) -> QueryPlan:
    """Sum what was looked at; the times are those of the slowest. What most did counts as done."""
    kinds = Counter(plan.kind for plan in plans if plan.items) or Counter({plans[0].kind: 1})
    kind: PlanKind = kinds.most_common(1)[0][0]
    return QueryPlan(
        kind=kind,
        items=sum(plan.items for plan in plans),
        filter_matches=sum(plan.filter_matches for plan in plans),
        candidates=sum(plan.candidates for plan in plans),
        expansion_search=max(plan.expansion_search for plan in plans),
        gathered_queries=max(plan.gathered_queries for plan in plans),
        filter_s=max(plan.filter_s for plan in plans),
        wait_s=max(plan.wait_s for plan in plans),
        search_s=max(plan.search_s for plan in plans),
        rerank_s=max(plan.rerank_s for plan in plans),
        ranked_candidates=sum(plan.ranked_candidates for plan in plans),
        ranking_complete=all(plan.ranking_complete for plan in plans),
    )


def merge_pages(pages: Sequence[Sequence[StoredItem]], page_size: int) -> list[StoredItem]:
    """Return a page of items by id."""
    merged = heapq.merge(*pages, key=lambda item: item.id)
    return [item for item, _ in zip(merged, range(page_size), strict=False)]


def merge_ordered(
    pages: Sequence[Sequence[OrderedItem]], order: Order, page_size: int
) -> list[OrderedItem]:
    """Return a page of items in the order of a field; those without a value come last."""
    with_value = [item for page in pages for item in page if item.place.value is not None]
    without = [item for page in pages for item in page if item.place.value is None]
    # Equal values go by id, ascending either way.
    with_value.sort(key=lambda item: item.place.id)
    with_value.sort(key=_value_key, reverse=order.descending)
    without.sort(key=lambda item: item.place.id)
    return [*with_value, *without][:page_size]


def _value_key(item: OrderedItem) -> tuple[int, Scalar]:
    assert item.place.value is not None, "those without are apart"
    return sort_key(item.place.value)


def merge_facets(parts: Sequence[Facets], limit: int) -> Facets:
    """Return the values of all partitions; each lists all of its own."""
    counts: dict[tuple[int, Scalar], tuple[Scalar, int]] = {}
    for value, count in chain.from_iterable(part.counts for part in parts):
        key = sort_key(value)
        counts[key] = (value, count + counts.get(key, (value, 0))[1])
    listed = heapq.nsmallest(limit, counts.items(), key=lambda each: (-each[1][1], each[0]))
    return Facets(
        counts=[pair for _, pair in listed],
        items=sum(part.items for part in parts),
        missing=sum(part.missing for part in parts),
        other=0,
        values=len(counts),
    )


def merge_stats(parts: Sequence[ShardStats]) -> ShardStats:
    """Return what a collection holds, each item once."""
    return ShardStats(
        items=sum(part.items for part in parts),
        head_vectors=sum(part.head_vectors for part in parts),
        unindexed_vectors=sum(part.unindexed_vectors for part in parts),
        graph_vectors=sum(part.graph_vectors for part in parts),
        side_list_vectors=sum(part.side_list_vectors for part in parts),
        segments=sum(part.segments for part in parts),
        disk_bytes=sum(part.disk_bytes for part in parts),
        builds=sum(part.builds for part in parts),
        last_build_error=next((p.last_build_error for p in parts if p.last_build_error), ""),
        building=any(part.building for part in parts),
        store_damage=next((part.store_damage for part in parts if part.store_damage), ""),
        commits=sum(part.commits for part in parts),
        fsync_s=sum(part.fsync_s for part in parts),
        build_failures=sum(part.build_failures for part in parts),
        build_s=sum(part.build_s for part in parts),
    )


def merge_recall(parts: Sequence[Sequence[RecallMeasurement]]) -> list[RecallMeasurement]:
    """Return each expansion's recall over the queries of all partitions, each in its own."""
    return [_merge_measurements(measured) for measured in zip(*parts, strict=True)]


def _merge_measurements(parts: Sequence[RecallMeasurement]) -> RecallMeasurement:
    queries = sum(part.queries for part in parts)
    found = sum(part.recall * part.queries for part in parts)
    asked = [part for part in parts if part.queries] or parts
    return RecallMeasurement(
        expansion_search=parts[0].expansion_search,
        recall=found / queries if queries else parts[0].recall,
        least_recall=min(part.least_recall for part in asked),
        self_misses=sum(part.self_misses for part in parts),
        queries=queries,
        limit=parts[0].limit,
        median_s=max(part.median_s for part in parts),
        median_exact_s=max(part.median_exact_s for part in parts),
    )
