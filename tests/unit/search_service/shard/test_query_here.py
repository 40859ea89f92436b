"""A lone query is answered on the caller's thread, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search_service.domain.conditions import Range
from search_service.domain.items import Fields
from search_service.domain.mutations import Delete, UpdateMetadata, Upsert
from search_service.domain.queries import (
    BEFORE_ALL,
    GroupBy,
    HitPlace,
    QueryOutcome,
    QueryRequest,
)
from search_service.domain.ranking import BestScore, Ranking
from search_service.shard.live.memory import Memory
from search_service.shard.search.tuning import LONGEST_HERE_S
from search_service.shard.shard import Shard
from tests.unit.search_service.shard.kit import STILL, build, create, fill, make_spec, random_units

VECTORS = random_units(6_000, 16, seed=2)
METADATA = Fields(metadata=True)


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Shard]:
    made = create(tmp_path, make_spec(16), STILL)
    fill(made, VECTORS[:5_900])
    build(made)
    fill(made, VECTORS[5_900:], first=5_900)
    yield made
    made.close()


def request_of(row: int) -> QueryRequest:
    return QueryRequest(VECTORS[row : row + 1], 10, fields=METADATA)


def answered_here(shard: Shard, request: QueryRequest) -> list[QueryOutcome] | None:
    """Ask until it is known how long such a query takes, however busy the machine is."""
    for _ in range(200):
        if (here := shard.query_here(request)) is not None:
            return here
        shard.query(request).result(30)
    return None


def test_the_answer_is_that_of_the_line(shard: Shard) -> None:
    for row in (0, 17, 5_950):
        here = answered_here(shard, request_of(row))
        assert here is not None
        (there,) = shard.query(request_of(row)).result(30)
        assert list(here[0].hits) == list(there.hits)
        assert here[0].plan.kind is there.plan.kind
        assert here[0].plan.gathered_queries == 1


def test_what_was_never_timed_waits_in_line(shard: Shard) -> None:
    assert shard.query_here(request_of(0)) is None
    answered_here(shard, request_of(0))
    assert shard.query_here(replace(request_of(0), expansion_search=300)) is None


def test_only_a_plain_query_by_itself_is_answered_here(shard: Shard) -> None:
    plain = request_of(3)
    assert answered_here(shard, plain) is not None
    for other in (
        replace(plain, exact=True),
        replace(plain, filter=Range(("number",), at_least=1.0)),
        replace(plain, group_by=GroupBy(("number",))),
        replace(plain, after=BEFORE_ALL),
        replace(plain, after=HitPlace(0.5, "item-3", 10)),
        replace(plain, ranking=Ranking()),
        replace(plain, ranking=Ranking(diversity=0.5)),
        replace(plain, best_scores=(BestScore(plain.vectors, VECTORS[:0]),)),
        replace(plain, vectors=VECTORS[:2]),
        replace(plain, vectors=VECTORS[:0]),
        replace(plain, vectors=np.ones((1, 3), dtype=np.float32)),
    ):
        shard.query(other).exception(30)
        assert shard.query_here(other) is None


def test_it_never_waits_for_the_writer(shard: Shard) -> None:
    assert answered_here(shard, request_of(3)) is not None
    lock = shard._memory.lock
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            let_go.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    assert shard.query_here(request_of(3)) is None
    let_go.set()
    holder.join()
    assert answered_here(shard, request_of(3)) is not None


def test_a_query_that_is_long_goes_in_line(shard: Shard) -> None:
    assert answered_here(shard, request_of(3)) is not None
    engine = shard._queries._graphs
    for key in engine._lone_s:
        engine._lone_s[key] = LONGEST_HERE_S * 1.01
    assert shard.query_here(request_of(3)) is None


def test_it_sees_every_write_that_was_acknowledged(shard: Shard) -> None:
    def first() -> tuple[str, object]:
        here = answered_here(shard, request_of(3))
        assert here is not None
        hit = here[0].hits[0]
        assert hit.item is not None
        return hit.id, hit.item.metadata

    assert first() == ("item-3", {"number": 3})
    shard.submit([UpdateMetadata("item-3", {"number": "new"})]).result(30)
    assert first() == ("item-3", {"number": "new"})
    shard.submit([Upsert("item-3", VECTORS[3], {"number": "again"})]).result(30)
    assert first() == ("item-3", {"number": "again"})
    shard.submit([Delete("item-3")]).result(30)
    assert first()[0] != "item-3"


def test_a_closed_shard_answers_nothing_here(shard: Shard) -> None:
    assert answered_here(shard, request_of(3)) is not None
    shard.close()
    assert shard.query_here(request_of(3)) is None


def test_a_view_that_has_ended_holds_nothing_back() -> None:
    memory = Memory(4)
    with memory.view() as outer:
        with memory.view():
            pass
        memory.adopt([], 0)
        assert outer.epoch in memory._readers
        memory.released()
        assert memory._readers == {outer.epoch: 1}
    memory.released()
    assert not memory._readers
