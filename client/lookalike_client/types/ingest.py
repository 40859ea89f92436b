"""Ingestion: what was queued, how it ended, and how the queue stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lookalike.wire.errors import LookalikeError
from lookalike_client.types.mutations import MutationResult, NearDuplicate


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether a mutation was durably queued: under `version`, or refused."""

    id: str
    version: int
    error: LookalikeError | None = None

    @property
    def accepted(self) -> bool:
        """Whether the mutation is in the queue."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class IngestEvent:
    """The outcome of one mutation of a job."""

    cursor: str
    result: MutationResult
    collection_uid: str
    remaining: int


@dataclass(frozen=True, slots=True)
class IngestFailure:
    """A mutation that was given up, lost, or rejected as a duplicate of `near_duplicate`."""

    failure_id: str
    collection_uid: str
    id: str
    version: int
    error: LookalikeError
    attempts: int
    fail_time: datetime | None
    job_id: str
    near_duplicate: NearDuplicate | None = None


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What was queued again; missing are those that are not listed, or have no image kept."""

    retried: int
    missing_failure_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker; `stage_s` maps a stage to its mean seconds over a minute."""

    name: str
    heartbeat_age_s: float
    paused_reason: str
    finished: int
    failed: int
    rate_per_second: float
    stage_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """How much waits. `lag` is None when the queue cannot tell.

    `lost` counts items that the queue's server lost before they were stored and that
    were not sent again since; `warnings` say what may make it lose some, for people.
    """

    queue_depth: int
    lag: int | None
    pending: int
    oldest_age_s: float | None
    failures: int
    queue_bytes: int
    max_queue_bytes: int
    workers: Sequence[WorkerStatus]
    lost: int = 0
    warnings: Sequence[str] = ()
