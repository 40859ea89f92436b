"""Queries of a front: partitions are asked at the same time, and their answers merged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

from lookalike.wire.errors import LookalikeError
from search_service.cluster import merging
from search_service.cluster.fanout import Partition, is_missing, unavailable, until_of
from search_service.cluster.first_tries import Begun, FirstTries, Overdue
from search_service.cluster.loops import LoopThread
from search_service.cluster.offered import asked_of_each, check_offered
from search_service.domain.queries import QueryOutcome, QueryRequest

Arguments = Callable[[], tuple[Any, ...]]
Answer = Future[list[QueryOutcome]]


class Querying:
    """Answers queries of one collection; any thread may ask."""

    def __init__(
        self,
        partitions: Sequence[Partition],
        acknowledged: Sequence[int],
        loop: LoopThread,
        overdue: Overdue,
        *,
        give_up_s: float,
    ) -> None:
        """`acknowledged` is the position of each partition that its reads see."""
        self._partitions = partitions
        self._acknowledged = acknowledged
        self._loop = loop
        self._overdue = overdue
        self._give_up_s = give_up_s

    def query(self, request: QueryRequest) -> Answer:
        """See `ShardApi`."""
        answer: Answer = Future()
        try:
            request = check_offered(request)
        except LookalikeError as error:
            answer.set_exception(error)
            return answer
        until_s = until_of(request.deadline_s, self._give_up_s)
        asked = asked_of_each(request)
        arguments = [self._arguments_of(each.number, asked, until_s) for each in self._partitions]
        if request.allow_partial or until_s <= time.monotonic():
            return self._loop.run(self._ask(request, arguments, until_s, None))
        calls = [
            each.begin("query", its())
            for each, its in zip(self._partitions, arguments, strict=True)
        ]
        tries = FirstTries(
            calls,
            answered=partial(self._merge, request, answer),
            otherwise=partial(self._go_on, request, arguments, until_s, answer),
        )
        self._overdue.add(tries)
        tries.wait()
        return answer

    def _arguments_of(self, number: int, asked: QueryRequest, until_s: float) -> Arguments:
        position = max(asked.read_position, self._acknowledged[number])
        timed, sent = asked.deadline_s is not None, replace(asked, deadline_s=None)

        def arguments() -> tuple[Any, ...]:
            return sent, position, max(0.0, until_s - time.monotonic()), timed

        return arguments

    def _merge(self, request: QueryRequest, answer: Answer, tries: FirstTries) -> None:
        """Answer with what all partitions said at once."""
        self._overdue.remove(tries)
        if not answer.set_running_or_notify_cancel():
            return
        try:
            for partition, call in zip(self._partitions, tries.calls, strict=True):
                partition.note_answer(call.replica)
            parts = [call.future.result() for call in tries.calls]
            answer.set_result(merging.merge_outcomes(parts, request))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            answer.set_exception(error)

    def _go_on(
        self,
        request: QueryRequest,
        arguments: Sequence[Arguments],
        until_s: float,
        answer: Answer,
        tries: FirstTries,
    ) -> None:
        """Ask others where a replica failed or is silent, and wait for those that are not."""
        self._overdue.remove(tries)
        later = self._loop.run(self._ask(request, arguments, until_s, tries.calls))
        answer.add_done_callback(lambda ended: later.cancel() if ended.cancelled() else None)
        later.add_done_callback(lambda ended: _pass_on(ended, answer))

    async def _ask(
        self,
        request: QueryRequest,
        arguments: Sequence[Arguments],
        until_s: float,
        calls: Sequence[Begun] | None,
    ) -> list[QueryOutcome]:
        answers = await asyncio.gather(
            *(
                partition.ask(
                    *("query", arguments[place], until_s),
                    dispensable=request.allow_partial,
                    begun=None if calls is None else calls[place],
                )
                for place, partition in enumerate(self._partitions)
            ),
            return_exceptions=True,
        )
        parts: list[list[QueryOutcome]] = []
        missing: list[int] = []
        for number, found in enumerate(answers):
            if not isinstance(found, BaseException):
                parts.append(found)
            elif isinstance(found, LookalikeError) and is_missing(found):
                missing.append(number)
            else:
                raise found
        if not parts or (missing and not request.allow_partial):
            raise unavailable(*missing)
        return merging.merge_outcomes(parts, request, missing_partitions=tuple(missing))


def _pass_on(ended: Answer, answer: Answer) -> None:
    if ended.cancelled():
        answer.cancel()
    elif answer.set_running_or_notify_cancel():
        failure = ended.exception()
        if failure is not None:
            answer.set_exception(failure)
        else:
            answer.set_result(ended.result())
