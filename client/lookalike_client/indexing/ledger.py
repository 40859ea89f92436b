"""What became of each file of a run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from lookalike.wire.errors import LookalikeError, NotFound, Reason
from lookalike_client.types import Acceptance, MutationResult, MutationStatus


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A file that was not indexed, and why."""

    id: str
    error: LookalikeError


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file that looks like a stored item; `stored` is false where it was refused."""

    id: str
    of: str
    score: float
    stored: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts at a moment. Of what was `queued`, `done` has ended, well or not.

    `failed` counts all failures; those in `refused` were never queued.
    """

    unchanged: int
    queued: int
    done: int
    failed: int
    refused: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many files ended in which way; each file counts once.

    `waiting` are in the queue, or were when nobody waited for them. `rejected` look
    like a stored item, in a collection that stores no duplicates. `lost` were in the
    queue, and its server forgot them.
    """

    unchanged: int
    stored: int
    rejected: int
    failed: int
    waiting: int
    lost: int = 0


@dataclass(slots=True)
class Ledger:
    """Brings acceptances and outcomes together, from two threads.

    An outcome may come before its acceptance is read, and twice, when a mutation
    had to be sent again because its acceptance was lost with a stream.
    `lost` are ids that the queue's server forgot before they were stored; `blank` and
    `truncated` are filled in when all has ended.
    """

    unchanged: int = 0
    stored: int = 0
    rejected: int = 0
    failures: list[FileFailure] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    truncated: list[str] = field(default_factory=list)
    stored_ids: list[str] = field(default_factory=list)
    _queued: int = 0
    _done: int = 0
    _failed: int = 0
    _open: dict[str, int] = field(default_factory=dict)
    _early: dict[str, MutationResult] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def leave_out(self) -> None:
        """Count a file that is stored already."""
        with self._lock:
            self.unchanged += 1

    def accept(self, acceptance: Acceptance) -> None:
        """Note that a mutation is queued, or why not."""
        with self._lock:
            if acceptance.error is not None:
                self.failures.append(FileFailure(acceptance.id, acceptance.error))
                return
            self._queued += 1
            early = self._early.pop(acceptance.id, None)
            self._open[acceptance.id] = acceptance.version
            if early is not None:
                self._settle(early)

    def end(self, result: MutationResult) -> None:
        """Note the outcome of a mutation."""
        with self._lock:
            if result.id in self._open:
                self._settle(result)
            else:
                self._early[result.id] = result

    def tally(self) -> Tally:
        """Return the counts."""
        with self._lock:
            failed, refused = len(self.failures), len(self.failures) - self._failed
            return Tally(self.unchanged, self._queued, self._done, failed, refused, len(self.lost))

    def outcomes(self) -> Outcomes:
        """Return what became of the files; the sum is that of all files."""
        with self._lock:
            return Outcomes(
                unchanged=self.unchanged,
                stored=self.stored,
                rejected=self.rejected,
                failed=len(self.failures),
                waiting=self._queued - self._done,
                lost=len(self.lost),
            )

    def all_ended(self) -> bool:
        """Whether every mutation that was accepted has ended."""
        with self._lock:
            return not self._open

    def open(self) -> dict[str, int]:
        """Return what was accepted and has no outcome: versions by id."""
        with self._lock:
            return dict(self._open)

    def kept_out(self) -> Sequence[Duplicate]:
        """Return what the duplicate policy kept out, by id."""
        with self._lock:
            found = [duplicate for duplicate in self.duplicates if not duplicate.stored]
        return sorted(found, key=lambda duplicate: duplicate.id)

    def sorted_failures(self) -> Sequence[FileFailure]:
        """Return the failures by id."""
        with self._lock:
            return sorted(self.failures, key=lambda failure: failure.id)

    def _settle(self, result: MutationResult) -> None:
        # Of a mutation that was sent twice, the outcome of the accepted one counts.
        if 0 < result.version < self._open[result.id]:
            return
        del self._open[result.id]
        self._done += 1
        if result.error is not None and result.error.reason is Reason.INGEST_LOST:
            self.lost.append(result.id)
        elif result.error is not None:
            self._fail(result.id, result.error)
        elif result.status in (MutationStatus.APPLIED, MutationStatus.SUPERSEDED):
            self.stored += 1
            self.stored_ids.append(result.id)
        elif result.status is MutationStatus.REJECTED_DUPLICATE:
            self.rejected += 1
        else:  # metadata of an item that somebody deleted in between
            gone = "was deleted meanwhile: index it again"
            self._fail(result.id, NotFound(gone, reason=Reason.ITEM_NOT_FOUND))
        if result.near_duplicate is not None:
            near = result.near_duplicate
            stored = result.status is MutationStatus.APPLIED
            self.duplicates.append(Duplicate(result.id, near.id, near.score, stored))

    def _fail(self, item_id: str, error: LookalikeError) -> None:
        self._failed += 1
        self.failures.append(FileFailure(item_id, error))
