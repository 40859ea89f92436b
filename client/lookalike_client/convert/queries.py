"""Answers to queries."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from lookalike.v1 import filter_pb2, search_pb2
from lookalike_client import types
from lookalike_client.convert.items import item, metadata
from lookalike_client.convert.values import field_value, seconds


def search_results(message: search_pb2.SearchResponse) -> list[types.SearchResult]:
    """Return the neighbours of each query; what the answer lacks, each of them lacks."""
    partial = None
    if message.HasField("partial"):
        lacking = message.partial
        partial = types.PartialAnswer(lacking.partitions, list(lacking.missing_partitions))
    return [search_result(each, partial) for each in message.results]


def search_result(
    message: search_pb2.QueryResult, partial: types.PartialAnswer | None = None
) -> types.SearchResult:
    """Return the neighbours of one query."""
    hits = [_hit(each) for each in message.hits]
    plan = _plan(message.plan) if message.HasField("plan") else None
    groups = [
        types.HitGroup(field_value(each.value), [_hit(hit) for hit in each.hits])
        for each in message.groups
    ]
    kind = _plan_kind(message.plan_kind)
    return types.SearchResult(hits, kind, plan, groups, message.next_page_token, partial)


def facets(message: search_pb2.CountFacetsResponse) -> types.Facets:
    """Return the values of a field."""
    return types.Facets(
        counts=[(field_value(each.value), each.count) for each in message.facets],
        items=message.items,
        missing=message.missing,
        other=message.other,
        values=message.values,
    )


def _hit(message: search_pb2.Hit) -> types.Hit:
    return types.Hit.with_parts(
        partial(_part_of_hit, message),
        id=message.id,
        score=message.score,
        matched_vector=message.matched_vector,
    )


def _part_of_hit(message: search_pb2.Hit, name: str) -> object:
    match name:
        case "metadata":
            return metadata(message.item)
        case "item" if message.HasField("item"):
            # The contract leaves the id out of a hit's item: it stands beside the score.
            return item(message.item, id=message.id)
        case "rank_score" if message.HasField("rank_score"):
            return message.rank_score
        case "ranking" if message.HasField("ranking"):
            return _ranking(message.ranking)
        case _:
            return None


def _ranking(message: search_pb2.HitRanking) -> types.HitRanking:
    return types.HitRanking(
        [types.BoostPart(_point(each.value), each.curve, each.added) for each in message.boosts],
        message.redundancy if message.HasField("redundancy") else None,
        message.negative if message.HasField("negative") else None,
    )


def _point(message: filter_pb2.FilterValue) -> float | datetime | None:
    match message.WhichOneof("kind"):
        case "number_value":
            return message.number_value
        case "timestamp_value":
            return message.timestamp_value.ToDatetime(tzinfo=UTC)
        case _:
            return None


def _plan(message: search_pb2.QueryPlan) -> types.QueryPlan:
    return types.QueryPlan(
        kind=_plan_kind(message.kind),
        items=message.items,
        filter_matches=message.filter_matches,
        candidates=message.candidates,
        expansion_search=message.expansion_search,
        gathered_queries=message.gathered_queries,
        embed_s=seconds(message.embed_time),
        filter_s=seconds(message.filter_time),
        wait_s=seconds(message.wait_time),
        search_s=seconds(message.search_time),
        rerank_s=seconds(message.rerank_time),
        filter_remarks=list(message.filter_remarks),
        ranked_candidates=message.ranked_candidates,
        ranking_complete=message.ranking_complete,
    )


def _plan_kind(number: search_pb2.PlanKind.ValueType) -> types.PlanKind:
    return _PLAN.get(number, types.PlanKind.UNSPECIFIED)


_PLAN: dict[int, types.PlanKind] = {
    search_pb2.PlanKind.Value(f"PLAN_KIND_{kind.name}"): kind for kind in types.PlanKind
}
