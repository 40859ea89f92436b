"""The state of ingestion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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
    """How much waits. `lag` is None when the queue cannot tell."""

    queue_depth: int
    lag: int | None
    pending: int
    oldest_age_s: float | None
    failures: int
    queue_bytes: int
    max_queue_bytes: int
    workers: Sequence[WorkerStatus]
