"""What waits for the writer: bounded, in order."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias

import apsw

from lookalike.wire.errors import Exhausted, LookalikeError, Reason
from search_service.domain.mutations import Delete, Mutation, MutationOutcome, Upsert
from search_service.shard.options import ShardOptions
from search_service.shard.refusals import disk_full, is_disk_full

# What a mutation costs besides its vector, facts and thumbnail; metadata is
# bounded at 16 KiB where requests are read.
MUTATION_OVERHEAD_BYTES = 512

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """Mutations of one caller."""

    mutations: Sequence[Mutation]
    future: Future[list[MutationOutcome]]
    nbytes: int


@dataclass(frozen=True, slots=True)
class Errand:
    """Something else to do on the writing connection, in a transaction of its own."""

    run: Callable[[apsw.Connection], Any]
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """Mutations that are chosen when their turn comes, from what is stored then."""

    choose: Callable[[], Sequence[Mutation]]
    future: Future[list[MutationOutcome]]

    def submission(self) -> Submission | None:
        """Choose; None where there is nothing to do, or no choosing, as the future says."""
        try:
            mutations = self.choose()
        except LookalikeError as error:
            self.future.set_exception(error)
        except Exception:  # noqa: BLE001 - nothing is written yet: the store goes on
            _log.exception("items cannot be selected")
            fault = LookalikeError("the items cannot be selected", reason=Reason.INTERNAL)
            self.future.set_exception(fault)
        else:
            if mutations:
                return Submission(mutations, self.future, 0)
            self.future.set_result([])
        return None


Work: TypeAlias = Submission | Errand | Choice


class WriteQueue:
    """A first-in first-out queue, bounded by mutations and bytes."""

    def __init__(self, options: ShardOptions) -> None:
        self._options = options
        self._changed = threading.Condition()
        self._work: deque[Work] = deque()
        self._mutations = 0
        self._nbytes = 0
        self._refusal: Callable[[], LookalikeError] | None = None
        self._ended = False

    def put(self, work: Work) -> None:
        """Queue work; where that cannot be, its future fails at once."""
        with self._changed:
            refusal = self._refuse(work)
            if refusal is None:
                self._work.append(work)
                if isinstance(work, Submission):
                    self._mutations += len(work.mutations)
                    self._nbytes += work.nbytes
                self._changed.notify()
                return
        work.future.set_exception(refusal)

    def take(self, idle_s: float) -> list[Work] | None:
        """Wait for work; return an errand or a choice, or submissions up to a group's bounds.

        Nothing of either after `idle_s` seconds without work; None once the queue
        has ended and is empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._work or self._ended, idle_s)
            if not self._work:
                return None if self._ended else []
            if not isinstance(self._work[0], Submission):
                return [self._work.popleft()]
            return self._take_group()

    def end(self, refusal: Callable[[], LookalikeError], *, drop: bool) -> None:
        """Refuse what comes from now on; `drop` also refuses what waits."""
        with self._changed:
            self._refusal = refusal
            self._ended = True
            dropped = list(self._work) if drop else []
            if drop:
                self._work.clear()
            self._changed.notify_all()
        for work in dropped:
            if work.future.set_running_or_notify_cancel():
                work.future.set_exception(refusal())

    def _take_group(self) -> list[Work]:
        group: list[Work] = []
        mutations = nbytes = 0
        while self._work and isinstance(work := self._work[0], Submission):
            mutations += len(work.mutations)
            nbytes += work.nbytes
            if group and (
                mutations > self._options.max_group_mutations
                or nbytes > self._options.max_group_bytes
            ):
                break
            group.append(work)
            self._work.popleft()
            self._mutations -= len(work.mutations)
            self._nbytes -= work.nbytes
        return group

    def _refuse(self, work: Work) -> LookalikeError | None:
        if self._refusal is not None:
            return self._refusal()
        if not isinstance(work, Submission) or not self._work:
            return None  # a lone submission is taken, whatever its size
        if (
            self._mutations + len(work.mutations) > self._options.max_queued_mutations
            or self._nbytes + work.nbytes > self._options.max_queued_bytes
        ):
            return Exhausted("too many writes wait for the disk: send fewer at a time")
        return None


def resolve(
    submissions: Sequence[Submission],
    outcomes: list[MutationOutcome] | None,
    refusal: LookalikeError,
) -> None:
    """Tell each submission its outcomes; None: the group was refused."""
    start = 0
    for one in submissions:
        end = start + len(one.mutations)
        mine = None if outcomes is None else outcomes[start:end]
        start = end
        if mine is None:
            one.future.set_exception(refusal)
        elif mine and all(is_disk_full(outcome) for outcome in mine):
            one.future.set_exception(disk_full())
        else:
            one.future.set_result(mine)


def mutation_bytes(mutations: Sequence[Mutation]) -> int:
    """Estimate the memory that mutations take."""
    total = MUTATION_OVERHEAD_BYTES * len(mutations)
    for mutation in mutations:
        if isinstance(mutation, Upsert):
            total += sum(vector.nbytes for vector in mutation.all_vectors)
            total += len(mutation.facts) + len(mutation.thumbnail)
    return total


def only_deletes(mutations: Sequence[Mutation]) -> bool:
    """Say whether nothing is stored."""
    return all(isinstance(mutation, Delete) for mutation in mutations)
