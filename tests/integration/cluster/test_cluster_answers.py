"""A partitioned collection answers what one shard with the same items does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lookalike.wire.errors import LookalikeError, Reason, Unsupported
from search_service.domain.conditions import Equals, Filter, In, Range
from search_service.domain.items import Fields, Order
from search_service.domain.mutations import Mutation, MutationStatus, UpdateMetadata, Upsert
from search_service.domain.queries import BEFORE_ALL, GroupBy, Hit, QueryRequest
from search_service.domain.ranking import BestScore, Boost, Linear, Ranking
from search_service.domain.selections import Selection
from search_service.shard.api import ShardApi
from search_service.shard.shard import Shard
from tests.integration.cluster.conftest import DIMENSION, Cluster, items, units

pytestmark = pytest.mark.timeout(120)

COUNT = 400
QUERIES = units(6, seed=9)
FIELDS = Fields(metadata=True, vector=True)


@pytest.fixture(scope="module")
def both(cluster: Cluster, one_shard: Shard) -> tuple[ShardApi, Shard]:
    """The same items here and there."""
    divided = cluster.create("same")
    for shard in (divided, one_shard):
        outcomes = shard.submit(items(COUNT)).result(30)
        assert {outcome.status for outcome in outcomes} == {MutationStatus.APPLIED}
    return divided, one_shard


REQUESTS = {
    "plain": QueryRequest(QUERIES, exact=True),
    "filter": QueryRequest(QUERIES, filter=Equals(("kind",), "k3"), limit=20, exact=True),
    "range": QueryRequest(QUERIES, filter=Range(("n",), at_least=100.0, less_than=120.0)),
    "floor": QueryRequest(QUERIES, min_score=0.35, limit=50, exact=True),
    "exclude": QueryRequest(
        QUERIES, exclude=[frozenset({f"item-{n:04d}" for n in range(200)})] * 6, exact=True
    ),
    "fields": QueryRequest(QUERIES, fields=FIELDS, exact=True),
    "more than there are": QueryRequest(QUERIES, limit=1000, exact=True),
    "groups": QueryRequest(QUERIES, group_by=GroupBy(("kind",)), limit=5, exact=True),
    "groups of lists": QueryRequest(QUERIES, group_by=GroupBy(("tags",)), limit=3, exact=True),
    "boosts": QueryRequest(
        QUERIES,
        limit=7,
        ranking=Ranking(boosts=(Boost(("n",), 0.4, Linear(0.0, 400.0)),), candidates=40),
        exact=True,
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_queries(both: tuple[ShardApi, Shard], name: str) -> None:
    divided, whole = (shard.query(REQUESTS[name]).result(30) for shard in both)

    for mine, wanted in zip(divided, whole, strict=True):
        assert wanted.hits or wanted.groups
        assert [_shown(hit) for hit in mine.hits] == [_shown(hit) for hit in wanted.hits]
        groups = [(group.value, _shown(group.hits[0])) for group in wanted.groups]
        assert [(group.value, _shown(group.hits[0])) for group in mine.groups] == groups
        assert mine.plan.items == wanted.plan.items


def test_pages_of_hits(both: tuple[ShardApi, Shard]) -> None:
    listed: list[list[str]] = []
    for shard in both:
        place, found = BEFORE_ALL, []
        while True:
            request = QueryRequest(QUERIES[:1], limit=60, after=place, exact=True)
            (outcome,) = shard.query(request).result(30)
            found += [hit.id for hit in outcome.hits]
            if outcome.page_end is None:
                break
            place = outcome.page_end
        listed.append(found)

    assert listed[0] == listed[1]
    assert len(listed[0]) == COUNT - COUNT // 50


@pytest.mark.parametrize("condition", [None, In(("kind",), ("k1", "k2"))], ids=["all", "some"])
def test_lists_counts_and_facets(both: tuple[ShardApi, Shard], condition: Filter | None) -> None:
    divided, whole = both
    order = Order(("rare",), descending=True)

    def told(shard: ShardApi) -> list[object]:
        page = shard.list_items(filter=condition, after_id="item-0100", page_size=30, fields=FIELDS)
        first = shard.list_ordered(
            filter=condition, order=order, after=None, page_size=70, fields=FIELDS
        )
        later = shard.list_ordered(
            filter=condition, order=order, after=first[-1].place, page_size=70, fields=FIELDS
        )
        tags, kinds = (shard.facets((name,), condition, 2) for name in ("tags", "kind"))
        return [
            shard.count(condition),
            [item.id for item in page],
            [each.place for each in first],
            [each.place for each in later],
            *(tuple(facets.counts) for facets in (tags, kinds)),
            *((each.items, each.missing, each.other, each.values) for each in (tags, kinds)),
        ]

    assert told(divided) == told(whole)


def test_items_by_id(both: tuple[ShardApi, Shard]) -> None:
    wanted = ["item-0007", "nothing", "item-0301", "item-0050", "item-0008"]
    mine, theirs = (shard.get(wanted, FIELDS) for shard in both)

    assert [item and item.id for item in mine] == [
        "item-0007",
        None,
        "item-0301",
        None,
        "item-0008",
    ]
    for one, other in zip(mine, theirs, strict=True):
        if one is not None and other is not None:
            assert one.metadata == other.metadata
            assert np.array_equal(one.vector, other.vector)  # type: ignore[arg-type]


def test_changes_have_the_same_outcomes(both: tuple[ShardApi, Shard]) -> None:
    changes: list[Mutation] = [
        UpdateMetadata("item-0001", {"kind": "k6"}, merge=True),
        UpdateMetadata("item-0001", {"kind": "new"}, if_other=True),
        UpdateMetadata("no such item", {"kind": "new"}, merge=True),
        Upsert("item-0002", units(1, 5)[0], keep_metadata=True),
        Upsert("item-0003", np.zeros(DIMENSION + 1, dtype=np.float32)),
    ]
    mine, theirs = (shard.submit(changes).result(30) for shard in both)

    assert [(one.id, one.status, one.changed) for one in mine] == [
        (one.id, one.status, one.changed) for one in theirs
    ]
    assert [one.error and one.error.reason for one in mine] == [
        one.error and one.error.reason for one in theirs
    ]
    mine_now, theirs_now = (shard.get(["item-0001", "item-0002"], FIELDS) for shard in both)
    assert [item and item.metadata for item in mine_now] == [
        item and item.metadata for item in theirs_now
    ]


NOT_OFFERED = {
    "diversity": replace(REQUESTS["boosts"], ranking=Ranking(diversity=0.5)),
    "groups": QueryRequest(QUERIES, group_by=GroupBy(("kind",), hits_per_group=2)),
    "examples": QueryRequest(
        QUERIES[:1], best_scores=(BestScore(QUERIES[:1], np.empty((0, DIMENSION), np.float32)),)
    ),
}


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_what_is_not_offered_says_so(both: tuple[ShardApi, Shard], name: str) -> None:
    with pytest.raises(Unsupported) as refused:
        both[0].query(NOT_OFFERED[name]).result(60)

    assert refused.value.reason is Reason.UNSUPPORTED
    assert refused.value.field


def test_changes_by_filter_are_not_offered(both: tuple[ShardApi, Shard]) -> None:
    with pytest.raises(LookalikeError) as refused:
        both[0].change_selection(Selection(None, None, None, 10)).result(60)

    assert refused.value.reason is Reason.UNSUPPORTED


def _shown(hit: Hit) -> tuple[object, ...]:
    id, score, item, ranking, matched = hit
    parts = None if item is None or item.vector is None else (item.metadata, item.vector.tobytes())
    return id, score, parts, ranking and ranking.rank_score, matched
