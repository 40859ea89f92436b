"""Queries whose first calls all answer, and those that have to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from lookalike.wire.errors import InvalidField
from search_service.cluster.fanout import Partition, ReplicaAway, ReplicaHandle
from search_service.cluster.first_tries import Overdue
from search_service.cluster.loops import LoopThread
from search_service.cluster.querying import Querying
from search_service.domain.queries import Hit, PlanKind, QueryOutcome, QueryPlan, QueryRequest

PLAN = QueryPlan(PlanKind.EXACT, 1, 1, 1, 0, 1, 0.0, 0.0, 0.0)
REQUEST = QueryRequest(np.ones((1, 4), np.float32), limit=2)


class Replica(ReplicaHandle):
    """A replica of one item; or one that fails, or says nothing."""

    def __init__(
        self, item: str, failure: Exception | None = None, *, silent: bool = False
    ) -> None:
        self._item, self._failure, self._silent = item, failure, silent
        self.calls = 0

    def call(self, method: str, *args: Any) -> Future[Any]:
        """See `ReplicaHandle`."""
        self.calls += 1
        future: Future[Any] = Future()
        if self._failure is not None:
            future.set_exception(self._failure)
        elif not self._silent:
            future.set_result([QueryOutcome([Hit(self._item, 0.5)], PLAN)])
        return future


Ask = Callable[..., Querying]


@pytest.fixture
def overdue() -> Overdue:
    return Overdue(0.0)


@pytest.fixture
def over(overdue: Overdue) -> Iterator[Ask]:
    loop = LoopThread("test")

    def make(*replicas: list[Replica]) -> Querying:
        partitions = [
            Partition(number, each, retry_s=0.01, give_up_s=5.0)
            for number, each in enumerate(replicas)
        ]
        return Querying(partitions, [0] * len(partitions), loop, overdue, give_up_s=5.0)

    yield make
    loop.close()


def _ids(answer: Future[list[QueryOutcome]]) -> list[str]:
    return [hit.id for hit in answer.result(60)[0].hits]


def test_all_answer_at_once(over: Ask) -> None:
    replicas = [Replica("b"), Replica("a")]
    answer = over(*([each] for each in replicas)).query(REQUEST)

    assert answer.done()  # nothing was handed to another thread
    assert _ids(answer) == ["a", "b"]
    assert [each.calls for each in replicas] == [1, 1]


def test_another_is_asked_for_what_failed_and_nothing_else_twice(over: Ask) -> None:
    dead, other, well = Replica("", ReplicaAway()), Replica("a"), Replica("b")

    assert _ids(over([dead, other], [well]).query(REQUEST)) == ["a", "b"]
    assert (dead.calls, other.calls, well.calls) == (1, 1, 1)


def test_another_is_asked_for_what_is_silent(over: Ask, overdue: Overdue) -> None:
    silent, other, well = Replica("", silent=True), Replica("a"), Replica("b")
    querying = over([silent, other], [well])
    answer = querying.query(REQUEST)
    assert not answer.done()
    overdue.sweep()

    assert _ids(answer) == ["a", "b"]
    assert (silent.calls, well.calls) == (1, 1)
    # It is passed over for a while.
    assert all(_ids(querying.query(REQUEST)) == ["a", "b"] for _ in range(2))
    assert silent.calls == 1


def test_what_a_replica_refuses_is_refused(over: Ask) -> None:
    with pytest.raises(InvalidField):
        over([Replica("", InvalidField("filter", "no"))], [Replica("a")]).query(REQUEST).result(60)


def test_whoever_leaves_is_forgotten(over: Ask, overdue: Overdue) -> None:
    silent = Replica("", silent=True)
    answer = over([silent]).query(REQUEST)
    assert answer.cancel()
    overdue.sweep()
    overdue.sweep()

    assert silent.calls == 1
