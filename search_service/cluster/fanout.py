"""Asks the replicas of a partition: one, and another when it is slow or away."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from lookalike.wire.errors import (
    DeadlineExceeded,
    Exhausted,
    LookalikeError,
    Reason,
    Unavailable,
)
from search_service.cluster.first_tries import Begun

# How long a replica that failed is asked last, doubled up to the second value. A dead one
# is known at once by its connection; this is for one that is slow or silent.
_AVOIDED_S, _LONGEST_AVOIDED_S = 1.0, 8.0
# Between two rounds over replicas that are all away.
_NEXT_ROUND_S = 0.05

# In the place of what a replica does not say.
NO_ANSWER = object()

# How long before a caller's deadline, in seconds and as a share of the time left, partitions
# that did not answer are given up: an answer of a front takes a few milliseconds.
_ANSWERED_BEFORE_S, _ANSWERED_BEFORE = 0.25, 0.1

T = TypeVar("T")
Arguments = Callable[[], tuple[Any, ...]]


def until_of(deadline_s: float | None, give_up_s: float) -> float:
    """Return when partitions that did not answer are given up, on `time.monotonic()`."""
    now_s = time.monotonic()
    if deadline_s is None:
        return now_s + give_up_s
    # What is answered at the deadline comes too late, be it partial or an error.
    return deadline_s - min(_ANSWERED_BEFORE_S, _ANSWERED_BEFORE * (deadline_s - now_s))


class ReplicaHandle(Protocol):
    """A replica, wherever it is."""

    def call(self, method: str, *args: Any) -> Future[Any]:
        """Call a method; never blocks.

        Raises (as the future's exception):
            ReplicaAway: it cannot be reached.
            LookalikeError: what the replica says.
        """


class ReplicaAway(Exception):
    """A replica cannot be reached: it is dead, being started, or its node is gone."""


class Partition:
    """The replicas of one partition: asked on one event loop; any thread may begin a call."""

    def __init__(
        self, number: int, replicas: Sequence[ReplicaHandle], *, retry_s: float, give_up_s: float
    ) -> None:
        """Ask another replica after `retry_s` without an answer; try ones that cannot be
        reached for `give_up_s`."""
        self.number = number
        self.replicas = replicas
        self._retry_s, self._give_up_s = retry_s, give_up_s
        self._turn = itertools.count()
        self._avoid_until_s = [0.0] * len(replicas)
        self._failures = [0] * len(replicas)
        self._gone = [False] * len(replicas)

    @property
    def is_gone(self) -> bool:
        """Whether each replica was away, and not only slow, when it was asked last."""
        return all(self._gone)

    async def ask(
        self,
        method: str,
        arguments: Arguments,
        until_s: float,
        *,
        dispensable: bool = False,
        retry_s: float | None = None,
        steady: bool = False,
        begun: Begun | None = None,
    ) -> Any:
        """Return the first answer of any replica; `until_s` is on `time.monotonic()`.

        `arguments` is asked anew for each try: what is left of the time changes. While no
        replica can be reached they are tried again, but not for ever; `dispensable` says
        that the caller takes an answer without this partition, and would not wait for it.
        `retry_s` is for what is known to take long; `steady` asks the same replica each time,
        as long as it answers. `begun` is a first call that is under way or has failed.

        Raises:
            LookalikeError: what a replica says, where no other would say something else.
            Unavailable: PARTITION_UNAVAILABLE, none answered in time.
        """
        retry_s = self._retry_s if retry_s is None else retry_s
        under_way: dict[asyncio.Future[Any], int] = {}
        began_s = time.monotonic()
        away_until_s = began_s + self._give_up_s
        if dispensable:
            away_until_s = began_s + 2 * self._retry_s
            # One that is hung is waited for once, not by each query.
            silent = min(self._avoid_until_s) > began_s
            until_s = min(until_s, away_until_s if silent else began_s + self._give_up_s)
        order = self._order(steady=steady)
        tried, hold_s = 0, 0.0
        if begun is not None:
            under_way[asyncio.wrap_future(begun.future)] = begun.replica
            order = [begun.replica, *(each for each in order if each != begun.replica)]
            tried, hold_s = 1, begun.since_s + retry_s - began_s
            if hold_s <= 0 and not begun.future.done():
                self._note(begun.replica, well=False)
        last: LookalikeError | None = None
        try:
            while (left_s := until_s - time.monotonic()) > 0:
                wait_s = retry_s
                if hold_s > 0:
                    wait_s, hold_s = hold_s, 0.0
                elif tried < len(order):
                    under_way[self._start(order[tried], method, arguments())] = order[tried]
                    tried += 1
                elif not under_way:
                    # A full queue does not empty by being asked again and again.
                    if time.monotonic() >= away_until_s or (last and _is_final(last)):
                        break
                    await asyncio.sleep(min(_NEXT_ROUND_S, left_s))
                    order, tried = self._order(steady=steady), 0
                    continue
                all_asked = len(under_way) == len(self.replicas)
                done, _ = await asyncio.wait(
                    under_way,
                    timeout=left_s if all_asked else min(wait_s, left_s),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for future in done:
                    replica = under_way.pop(future)
                    failure = future.exception()
                    self._gone[replica] = isinstance(failure, ReplicaAway)
                    if failure is None:
                        self._note(replica, well=True)
                        return future.result()
                    if not _another_may(failure):
                        raise failure
                    self._note(replica, well=False)
                    last = failure if isinstance(failure, LookalikeError) else last
                if done:
                    continue
                if tried < len(order) or time.monotonic() >= until_s:
                    for replica in under_way.values():
                        self._note(replica, well=False)
                elif time.monotonic() < away_until_s:
                    # Those that failed may be back, while another is silent.
                    asked = under_way.values()
                    order = [each for each in self._order(steady=steady) if each not in asked]
                    tried = 0
        finally:
            for future in under_way:
                future.cancel()
        if last is not None and last.reason is not Reason.NOT_READY:
            raise last
        raise unavailable(self.number)

    def begin(self, method: str, args: tuple[Any, ...]) -> Begun:
        """Call a replica, on any thread."""
        replica = self._order(steady=False)[0]
        return Begun(replica, self.replicas[replica].call(method, *args), time.monotonic())

    def note_answer(self, replica: int) -> None:
        """Note that a replica answered what was begun."""
        self._gone[replica] = False
        self._note(replica, well=True)

    async def ask_all(self, method: str, *args: Any, within_s: float) -> list[Any]:
        """Ask all replicas; return their answers, `NO_ANSWER` for one that failed or is late."""
        asked = [asyncio.wrap_future(replica.call(method, *args)) for replica in self.replicas]
        await asyncio.wait(asked, timeout=within_s)
        return [_answer_of(future) for future in asked]

    def _start(self, replica: int, method: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        return asyncio.wrap_future(self.replicas[replica].call(method, *args))

    def _order(self, *, steady: bool) -> list[int]:
        """Return the replicas, in turns or not, those last that failed lately."""
        count, now_s = len(self.replicas), time.monotonic()
        first = 0 if steady else next(self._turn)
        around = [(first + offset) % count for offset in range(count)]
        return sorted(around, key=lambda replica: self._avoid_until_s[replica] > now_s)

    def _note(self, replica: int, *, well: bool) -> None:
        if well:
            self._failures[replica] = 0
            self._avoid_until_s[replica] = 0.0
            return
        avoided_s = min(_AVOIDED_S * 2.0 ** self._failures[replica], _LONGEST_AVOIDED_S)
        self._failures[replica] = min(self._failures[replica] + 1, 10)
        self._avoid_until_s[replica] = time.monotonic() + avoided_s


def _answer_of(future: asyncio.Future[Any]) -> Any:
    if not future.done():
        future.cancel()
        return NO_ANSWER
    return NO_ANSWER if future.exception() is not None else future.result()


def _another_may(failure: BaseException) -> bool:
    """Say whether another replica may answer what one did not."""
    if isinstance(failure, ReplicaAway | asyncio.CancelledError):
        return True
    if isinstance(failure, DeadlineExceeded):
        return False
    # A full queue or a damaged store is one replica's; a wrong request is wrong for all.
    return isinstance(failure, LookalikeError) and (
        failure.retryable or failure.reason is Reason.STORE_DAMAGED
    )


def _is_final(failure: LookalikeError) -> bool:
    """Say whether to ask all replicas once more would only make it worse, or lead nowhere."""
    return isinstance(failure, Exhausted) or failure.reason is Reason.STORE_DAMAGED


def unavailable(*partitions: int) -> Unavailable:
    """Return what is said of partitions that do not answer."""
    names = ", ".join(str(number) for number in partitions)
    which = f"partition {names} does" if len(partitions) == 1 else f"partitions {names} do"
    return Unavailable(
        f"{which} not answer; try again, or take a partial answer (allow_partial)",
        reason=Reason.PARTITION_UNAVAILABLE,
        retry_delay_s=1.0,
    )


def is_missing(error: LookalikeError) -> bool:
    """Say whether a partition did not answer, rather than refuse."""
    if isinstance(error, Exhausted):
        return False
    return error.reason is Reason.PARTITION_UNAVAILABLE or error.retryable
