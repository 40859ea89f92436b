"""Gathers waiting queries into calls that use all cores.

One thread takes all that waits whenever it is free: under load the calls grow,
and a lone query never waits for company.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeAlias

from lookalike.wire.errors import DeadlineExceeded, Exhausted, LookalikeError, Reason
from search_service.domain.conditions import Filter
from search_service.domain.queries import GroupBy, QueryOutcome, QueryRequest
from search_service.domain.ranking import Ranking
from search_service.shard.options import ShardOptions
from search_service.shard.refusals import closed
from search_service.shard.search.tuning import (
    FIRST_ROWS,
    LONE_SHARE,
    LONGEST_HERE_S,
    rows_of_page,
)

# Size class, exact, expansion, filter, groups, whether it is a page, ranking.
Key: TypeAlias = tuple[
    int, bool, int, Filter | None, GroupBy | None, bool, tuple[Ranking | None, object] | None
]

_MOST_NOTED = 4
# The future of a request whose caller waits for no future.
_NOBODY: Future[list[QueryOutcome]] = Future()
# Of sizes and expansions that callers ask for.
_MOST_KEYS = 256

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request in line, since `since_s` on `time.monotonic()`."""

    request: QueryRequest
    future: Future[list[QueryOutcome]]
    since_s: float

    @property
    def key(self) -> Key:
        """What requests must share to be answered in one call."""
        request = self.request
        return (
            _size_class(wanted_rows(request)),
            request.exact,
            request.expansion_search,
            request.filter,
            request.group_by,
            request.after is not None,
            (request.ranking, request.best_scores) if request.reranked else None,
        )


# Answers gathered requests: outcomes, or what is wrong, in the order of its requests.
AnswerGathered = Callable[[list[Waiting]], Sequence[list[QueryOutcome] | LookalikeError]]

# Answers a request that needs no filter; None where that would have to wait.
AnswerHere = Callable[[Waiting], "list[QueryOutcome] | LookalikeError | None"]


class QueryLine:
    """A bounded line of requests and the thread that answers them."""

    def __init__(
        self,
        answer_gathered: AnswerGathered,
        answer_here: AnswerHere,
        when_filters_ready: Callable[[Callable[[], None]], None],
        options: ShardOptions,
    ) -> None:
        self._answer_gathered = answer_gathered
        self._answer_here = answer_here
        self._when_filters_ready = when_filters_ready
        self._options = options
        self._changed = threading.Condition()
        self._line: deque[Waiting] = deque()
        self._queries = 0
        self._lone_s: dict[Key, float] = {}  # what a query by itself took lately
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="shard-queries", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def submit(self, request: QueryRequest) -> Future[list[QueryOutcome]]:
        """Put a request in line; its future fails at once where that cannot be."""
        waiting = Waiting(request, Future(), time.monotonic())
        refusal = self._admit(waiting)
        if refusal is not None:
            waiting.future.set_exception(refusal)
        elif not request.asks_metadata:
            self._enqueue(waiting)
        else:
            self._when_filters_ready(lambda: self._enqueue(waiting))
        return waiting.future

    def answer_here(self, request: QueryRequest) -> list[QueryOutcome] | None:
        """Answer a request on the caller's thread; None where it has to go in line.

        Only one query that is expected to be short, while nothing else waits: to wake
        another thread and be woken by it costs as much as a third of a search.

        Raises:
            LookalikeError: what is wrong with it.
        """
        one = Waiting(request, _NOBODY, time.monotonic())
        if not _is_lone(request) or self._lone_s.get(one.key, math.inf) > LONGEST_HERE_S:
            return None
        with self._changed:
            if self._queries or self._closed:
                return None
            self._queries = 1
        try:
            outcome = self._answer_here(one)
        finally:
            with self._changed:
                self._queries -= 1
        self._note_lone(one)
        if isinstance(outcome, LookalikeError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Finish the call that runs; refuse the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        with self._changed:
            dropped, self._line = list(self._line), deque()
        for waiting in dropped:
            if waiting.future.set_running_or_notify_cancel():
                waiting.future.set_exception(closed())

    def _admit(self, waiting: Waiting) -> LookalikeError | None:
        with self._changed:
            if self._closed:
                return closed()
            count = len(waiting.request.vectors)
            if self._queries and self._queries + count > self._options.max_waiting_queries:
                return Exhausted("too many searches wait: send fewer at a time")
            self._queries += count
        return None

    def _enqueue(self, waiting: Waiting) -> None:
        with self._changed:
            if not self._closed:
                self._line.append(waiting)
                self._changed.notify()
                return
        if waiting.future.set_running_or_notify_cancel():
            waiting.future.set_exception(closed())

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._line and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                taken = self._take()
            for gathered in _gathered(taken):
                self._answer(gathered)

    def _take(self) -> list[Waiting]:
        taken: list[Waiting] = []
        queries = 0
        while self._line:
            count = len(self._line[0].request.vectors)
            if taken and queries + count > self._options.max_gathered_queries:
                break
            queries += count
            taken.append(self._line.popleft())
        return taken

    def _note_lone(self, one: Waiting, begun_s: float | None = None) -> None:
        """Remember what a query took."""
        took_s = time.monotonic() - (one.since_s if begun_s is None else begun_s)
        if len(self._lone_s) > _MOST_KEYS:
            self._lone_s.clear()
        before_s = self._lone_s.get(one.key, took_s)
        # One that was held up by something else must not count for many.
        least_s = min(took_s, _MOST_NOTED * LONGEST_HERE_S)
        self._lone_s[one.key] = before_s + LONE_SHARE * (least_s - before_s)

    def _answer(self, gathered: list[Waiting]) -> None:
        now_s = time.monotonic()
        current = [one for one in gathered if _is_wanted(one, now_s)]
        try:
            outcomes = self._answer_gathered(current) if current else ()
        except LookalikeError as error:
            _fail(current, error)
        except Exception:  # noqa: BLE001 - whatever it is, callers must hear of it
            _log.exception("a search failed")
            _fail(current, LookalikeError("the search failed", reason=Reason.INTERNAL))
        else:
            for one, outcome in zip(current, outcomes, strict=True):
                if isinstance(outcome, LookalikeError):
                    one.future.set_exception(outcome)
                else:
                    one.future.set_result(outcome)
            if len(gathered) == 1 and _is_lone(gathered[0].request):
                self._note_lone(gathered[0], now_s)
        finally:
            with self._changed:
                self._queries -= sum(len(one.request.vectors) for one in gathered)


def _is_lone(request: QueryRequest) -> bool:
    if len(request.vectors) != 1 or request.exact or request.after is not None:
        return False
    return request.filter is None and request.group_by is None and not request.reranked


def wanted_rows(request: QueryRequest) -> int:
    """Return how many rows a query needs so that `limit` are left without the excluded."""
    excluded = max((len(ids) for ids in request.exclude), default=0)
    if request.after is not None:
        return rows_of_page(request.after.rank, request.limit) + excluded
    if request.reranked:
        return request.candidates + excluded
    if request.group_by is None:
        return request.limit + excluded
    return request.limit * request.group_by.hits_per_group * FIRST_ROWS + excluded


def _size_class(rows: int) -> int:
    """Round up to a power of four, so that near sizes share a call."""
    size = 16
    while size < rows:
        size *= 4
    return size


def _gathered(taken: list[Waiting]) -> list[list[Waiting]]:
    by_key: dict[Key, list[Waiting]] = {}
    for one in taken:
        by_key.setdefault(one.key, []).append(one)
    return list(by_key.values())


def _is_wanted(waiting: Waiting, now_s: float) -> bool:
    if not waiting.future.set_running_or_notify_cancel():
        return False
    deadline_s = waiting.request.deadline_s
    if deadline_s is not None and now_s >= deadline_s:
        waiting.future.set_exception(DeadlineExceeded())
        return False
    return True


def _fail(waiting: list[Waiting], error: LookalikeError) -> None:
    for one in waiting:
        one.future.set_exception(error)
