"""Whether the queries of a collection are what they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DriftState(StrEnum):
    """What is done with queries.

    `OFF`: they are not watched. `LEARNING`: the reference is learnt from them. `WATCHING`:
    they are compared with it. `DRIFTED`: they are no longer like it, until a reset.
    """

    OFF = "off"
    LEARNING = "learning"
    WATCHING = "watching"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class DriftMeasure:
    """Something that is measured of queries.

    `evidence` is a share of what raises the alarm. The percentiles are the 10th, 50th and
    90th, in the reference and of the newest 200 queries; empty where there are none.
    """

    name: str
    evidence: float
    reference_percentiles: Sequence[float]
    recent_percentiles: Sequence[float]


@dataclass(frozen=True, slots=True)
class DriftPoint:
    """Up to 50 queries that came one after another, up to the one numbered `queries`.

    `medians` are those of the measures but `vectors`; None where no query had it.
    """

    time: datetime
    queries: int
    evidence: float
    medians: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """When queries were no longer what they were, and the measures that showed it."""

    time: datetime
    queries: int
    measures: Sequence[str]


@dataclass(frozen=True, slots=True)
class Drift:
    """What is known of the queries by image or vector of a collection.

    Without a change, an alarm within n watched queries has a probability of at most n
    divided by `mean_queries_to_false_alarm`.
    """

    state: DriftState
    model_fingerprint: str
    reference_queries: int
    reference_wanted: int
    watched_queries: int
    mean_queries_to_false_alarm: float
    measures: Sequence[DriftMeasure]
    points: Sequence[DriftPoint]
    alarms: Sequence[DriftAlarm]
    read_time: datetime
