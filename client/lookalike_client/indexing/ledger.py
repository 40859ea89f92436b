"""What became of each file of a run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from lookalike.wire.errors import LookalikeError, NotFound, Reason
from lookalike_client.types import Acceptance, MutationResult, MutationStatus

_DELETED = NotFound(
    "was deleted by somebody else before its metadata was replaced: index it again",
    reason=Reason.ITEM_NOT_FOUND,
)


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
    """Counts at a moment. `done` is stored, failed, rejected, lost or outranked."""

    unchanged: int
    queued: int
    done: int
    failed: int
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
    failures: list[FileFailure] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    truncated: list[str] = field(default_factory=list)
    stored_ids: list[str] = field(default_factory=list)
    _queued: int = 0
    _done: int = 0
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
            return Tally(
                self.unchanged,
                self._queued,
                self._done,
                len(self.failures),
                len(self.lost),
            )

    def all_ended(self) -> bool:
        """Whether every mutation that was accepted has ended."""
        with self._lock:
            return not self._open

    def open(self) -> dict[str, int]:
        """Return what was accepted and has no outcome: versions by id."""
        with self._lock:
            return dict(self._open)

    def rejected(self) -> Sequence[Duplicate]:
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
            self.failures.append(FileFailure(result.id, result.error))
        elif result.status in (MutationStatus.APPLIED, MutationStatus.SUPERSEDED):
            self.stored += 1
            self.stored_ids.append(result.id)
        elif result.status is MutationStatus.NOT_FOUND:
            self.failures.append(FileFailure(result.id, _DELETED))
        if result.near_duplicate is not None:
            near = result.near_duplicate
            stored = result.status is MutationStatus.APPLIED
            self.duplicates.append(Duplicate(result.id, near.id, near.score, stored))
