"""What a monitor knows, as frozen values for those who ask."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F64
from search_service.drift.group import REFERENCE
from search_service.drift.monitor import PAIRS, Alarm, DriftState, Monitor, Point

_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class MeasureView:
    """A measure: its evidence as a share of the threshold, and its 10th, 50th and 90th
    percentile in the reference and among the newest queries (empty: none have it)."""

    name: str
    evidence: float
    reference: Sequence[float]
    recent: Sequence[float]


@dataclass(frozen=True, slots=True)
class DriftView:
    """What is known of a collection's queries at a moment; no `state`: they are not watched."""

    state: DriftState | None
    fingerprint: str
    reference_queries: int
    reference_wanted: int
    watched_queries: int
    mean_queries: float
    measures: Sequence[MeasureView]
    points: Sequence[Point]
    alarms: Sequence[Alarm]
    time_s: float


def view_of(monitor: Monitor, *, is_on: bool) -> DriftView:
    """Return what a monitor knows; `is_on` says whether it is told of queries."""
    evidence = iter(monitor.evidence.tolist())
    return DriftView(
        state=monitor.state if is_on or monitor.drifted else None,
        fingerprint=monitor.fingerprint,
        reference_queries=monitor.learnt,
        reference_wanted=REFERENCE,
        watched_queries=max(group.watched for group in monitor.groups),
        mean_queries=monitor.mean_queries,
        measures=[
            MeasureView(PAIRS, next(evidence), [], []),
            *(
                MeasureView(
                    name,
                    next(evidence),
                    _quantiles(group.settled[:, place]),
                    _quantiles(group.recent[:, place]),
                )
                for group in monitor.groups
                for place, name in enumerate(group.names)
            ),
        ],
        points=list(monitor.points),
        alarms=list(monitor.alarms),
        time_s=time.time(),
    )


def _quantiles(values: F64) -> Sequence[float]:
    there = values[np.isfinite(values)]
    return [float(each) for each in np.quantile(there, _QUANTILES)] if len(there) else []
