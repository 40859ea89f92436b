"""Which replicas of a partition are asked, and what is made of what they say."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable
from search_service.cluster.fanout import Partition, ReplicaAway, ReplicaHandle
from search_service.cluster.loops import LoopThread

Answer = Callable[[int], Any]


class Told(ReplicaHandle):
    """A replica that says what a test wants: a value, an exception, or None for nothing."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls = 0

    def call(self, method: str, *args: Any) -> Future[Any]:
        """See `ReplicaHandle`."""
        self.calls += 1
        future: Future[Any] = Future()
        said = self._answer(self.calls)
        if isinstance(said, Exception):
            future.set_exception(said)
        elif said is not None:
            future.set_result(said)
        return future


def _ask(replicas: list[Told], within_s: float = 30.0, **options: Any) -> Any:
    partition = Partition(0, replicas, retry_s=0.02, give_up_s=30.0)

    async def ask() -> Any:
        return await partition.ask("read", tuple, time.monotonic() + within_s, **options)

    return asyncio.run(ask())


def test_full_queues_are_told_at_once() -> None:
    full = [Told(lambda _: Exhausted("full")) for _ in range(2)]

    with pytest.raises(Exhausted):
        _ask(full)

    assert [replica.calls for replica in full] == [1, 1]


def test_another_answers_where_one_is_full() -> None:
    full, other = Told(lambda _: Exhausted("full")), Told(lambda _: "answer")

    assert _ask([full, other], steady=True) == "answer"


def test_one_that_came_back_is_asked_while_another_is_silent() -> None:
    back = Told(lambda call: ReplicaAway() if call < 3 else "answer")
    silent = Told(lambda _: None)

    assert _ask([back, silent]) == "answer"
    assert silent.calls == 1


def test_replicas_that_start_are_waited_for() -> None:
    starting = Unavailable("it opens its store", reason=Reason.NOT_READY)
    replicas = [Told(lambda call: starting if call < 3 else "answer") for _ in range(2)]

    assert _ask(replicas) == "answer"


def test_a_damaged_store_of_all_is_told_at_once() -> None:
    damaged = LookalikeError("damaged", reason=Reason.STORE_DAMAGED)
    replicas = [Told(lambda _: damaged) for _ in range(2)]

    with pytest.raises(LookalikeError) as failed:
        _ask(replicas)

    assert failed.value.reason is Reason.STORE_DAMAGED
    assert [replica.calls for replica in replicas] == [1, 1]


def test_long_work_is_given_to_one() -> None:
    silent, other = Told(lambda _: None), Told(lambda _: "answer")

    with pytest.raises(Unavailable):
        _ask([silent, other], within_s=0.2, retry_s=math.inf, steady=True)

    assert other.calls == 0


def test_a_partition_is_gone_only_when_all_its_replicas_are_away() -> None:
    away = Told(lambda call: ReplicaAway() if call < 3 else "answer")
    silent = Told(lambda _: None)
    for replicas, gone in (([away, away], True), ([away, silent], False), ([silent], False)):
        partition = Partition(0, replicas, retry_s=0.01, give_up_s=0)
        away.calls = 0
        with pytest.raises(Unavailable):
            asyncio.run(partition.ask("read", tuple, time.monotonic() + 0.3))
        assert partition.is_gone is gone


def test_a_closed_loop_refuses() -> None:
    loop = LoopThread("test")
    never = loop.run(asyncio.sleep(3600))
    loop.close()

    assert never.cancelled()
    assert isinstance(loop.run(asyncio.sleep(0)).exception(1), Unavailable)
