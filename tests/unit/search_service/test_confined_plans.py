"""What a tenant is told of a search does not depend on how much others have."""

from __future__ import annotations

from itertools import product

from lookalike.v1 import search_pb2
from search_service.domain.queries import PlanKind, QueryOutcome, QueryPlan
from search_service.servicers.translate import fill_result


def told(kind: PlanKind, candidates: int, expansion: int, *, confined: bool) -> bytes:
    plan = QueryPlan(
        kind=kind,
        items=40,
        filter_matches=40,
        candidates=candidates,
        expansion_search=expansion,
        gathered_queries=1,
        filter_s=0.0,
        wait_s=0.0,
        search_s=0.0,
        confined=confined,
    )
    result = search_pb2.QueryResult()
    fill_result(QueryOutcome([], plan), result, explain=True, embed_s=0.0, as_json=False)
    return result.SerializeToString(deterministic=True)


WAYS = list(product(PlanKind, (0, 40, 900), (0, 256)))


def test_each_way_of_searching_reads_alike() -> None:
    assert len({told(*way, confined=True) for way in WAYS}) == 1


def test_who_sees_everything_is_told_the_way() -> None:
    assert len({told(*way, confined=False) for way in WAYS}) == len(WAYS)
