"""Pages of hits: nothing twice, nothing left out, while items come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.wire.vectors import F32
from search_service.domain.conditions import Filter, Range
from search_service.domain.mutations import Delete, Upsert
from search_service.domain.queries import BEFORE_ALL, Hit, HitPlace, PlanKind, QueryRequest
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import (
    STILL,
    build,
    create,
    fill,
    make_spec,
    random_units,
    search,
    unit,
)

DIMENSION = 24
VECTORS = random_units(40_000, DIMENSION, seed=5)
QUERY = VECTORS[17]
HALF = Range(("number",), less_than=20_000.0)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shard]:
    """A shard with a graph over all its items; not to be changed."""
    shard = create(tmp_path_factory.mktemp("pages"), make_spec(DIMENSION), STILL)
    fill(shard, VECTORS)
    build(shard)
    yield shard
    shard.close()


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Shard]:
    made = create(tmp_path, make_spec(DIMENSION), STILL)
    fill(made, VECTORS[:500])
    yield made
    made.close()


def pages(
    shard: Shard,
    vector: F32,
    limit: int,
    between: Callable[[int], None] = lambda page: None,
    most: int = 10**6,
    **options: object,
) -> tuple[list[list[Hit]], set[PlanKind]]:
    """Page through all hits, and do something after each page."""
    found: list[list[Hit]] = []
    kinds: set[PlanKind] = set()
    after: HitPlace | None = BEFORE_ALL
    while after is not None and len(found) < most:
        request = QueryRequest(vector[None, :], limit=limit, after=after, **options)  # type: ignore[arg-type]  # passed on
        (outcome,) = shard.query(request).result(60)
        found.append(list(outcome.hits))
        kinds.add(outcome.plan.kind)
        after = outcome.page_end
        between(len(found))
    return found, kinds


def joined(found: list[list[Hit]]) -> list[str]:
    return [hit.id for page in found for hit in page]


@pytest.mark.parametrize("filter", [None, HALF])
@pytest.mark.parametrize("limit", [4_999, 20_000])
def test_exact_pages_are_the_whole_answer_cut_in_parts(
    indexed: Shard, filter: Filter | None, limit: int
) -> None:
    found, _ = pages(indexed, QUERY, limit, exact=True, filter=filter)

    whole = search(indexed, QUERY, limit=40_000, exact=True, filter=filter)
    assert len(whole) == (40_000 if filter is None else 20_000)
    assert [hit for page in found for hit in page] == whole
    assert all(len(page) == limit for page in found[:-1])


@pytest.mark.parametrize("filter", [None, HALF])
def test_pages_of_a_graph_are_in_order_without_repeats_and_miss_next_to_nothing(
    indexed: Shard, filter: Filter | None
) -> None:
    found, kinds = pages(indexed, QUERY, 10, most=12, filter=filter)

    assert kinds & {PlanKind.GRAPH, PlanKind.GRAPH_FILTERED, PlanKind.COMPACT_FILTERED}
    order = [(-hit.score, hit.id) for page in found for hit in page]
    assert order == sorted(set(order))
    assert len(order) == 120
    whole = search(indexed, QUERY, limit=120, exact=True, filter=filter)
    assert len({hit.id for hit in whole} & set(joined(found))) >= 114


def test_pages_of_a_graph_go_on_to_the_last_item(indexed: Shard) -> None:
    found, _ = pages(indexed, QUERY, 9_500)
    assert sorted(joined(found)) == sorted(f"item-{n}" for n in range(40_000))


def test_excluded_ids_and_a_least_score_hold_on_every_page(shard: Shard) -> None:
    left_out = frozenset(hit.id for hit in search(shard, QUERY, limit=30)[::3])
    options: dict[str, Any] = {"min_score": 0.2, "exclude": [left_out]}

    found, _ = pages(shard, QUERY, 7, **options)

    assert joined(found) == [hit.id for hit in search(shard, QUERY, limit=500, **options)]
    assert len(found) > 3


def test_equal_scores_are_divided_by_id(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(2), STILL)
    same = unit(1, 1)
    shard.submit([Upsert(f"{n:03}", same, {}) for n in range(300)]).result(30)
    found, _ = pages(shard, unit(1, 0), 7)
    assert joined(found) == [f"{n:03}" for n in range(300)]
    shard.close()


def test_many_items_stored_before_the_place_push_nothing_off_the_next_page(shard: Shard) -> None:
    """More than are ranked besides: the rows have to be ranked again, and more of them."""

    def nearer(page: int) -> None:
        if page == 1:
            near = [Upsert(f"near-{n}", QUERY, {"number": 0}) for n in range(1_000)]
            assert all(each.error is None for each in shard.submit(near).result(60))

    before = [hit.id for hit in search(shard, QUERY, limit=500)]
    found, _ = pages(shard, QUERY, 20, nearer)
    assert joined(found) == before


def test_what_is_deleted_meanwhile_takes_nothing_else_along(shard: Shard) -> None:
    order = [hit.id for hit in search(shard, QUERY, limit=500)]
    gone = {*order[:35], *order[60:75]}

    def remove(page: int) -> None:
        if page == 2:
            shard.submit([Delete(id) for id in gone]).result(60)

    found, _ = pages(shard, QUERY, 20, remove)
    assert joined(found) == order[:40] + [id for id in order[40:] if id not in gone]


def test_the_last_item_of_a_page_may_be_deleted_or_moved(shard: Shard) -> None:
    order = [hit.id for hit in search(shard, QUERY, limit=500)]

    def change(page: int) -> None:
        if page == 1:
            shard.submit([Delete(order[19]), Upsert(order[18], -QUERY, {})]).result(60)

    found, _ = pages(shard, QUERY, 20, change)
    assert joined(found) == [*order, order[18]]  # where it stands now


def test_pages_of_many_callers_at_once_are_their_own(shard: Shard) -> None:
    alone = [joined(pages(shard, vector, 9, most=3)[0]) for vector in VECTORS[:20]]
    places: list[HitPlace | None] = [BEFORE_ALL] * 20
    together: list[list[str]] = [[] for _ in range(20)]
    for _ in range(3):
        futures = [
            shard.query(QueryRequest(VECTORS[n][None, :], limit=9, after=places[n]))
            for n in range(20)
        ]
        for n, future in enumerate(futures):
            (outcome,) = future.result(60)
            together[n] += [hit.id for hit in outcome.hits]
            places[n] = outcome.page_end
    assert together == alone
    assert np.all([place is not None and place.rank == 27 for place in places])
