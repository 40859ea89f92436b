"""Thresholds that were decided on from what is known to be alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CalibrationMode(StrEnum):
    """What a threshold promises.

    `BOUND`: the constraint holds beyond the sample, with the stated confidence. `POINT`: it
    is the best on the sample, and nothing beyond.
    """

    BOUND = "bound"
    POINT = "point"


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold, the least cosine that matches, and on what grounds it was decided on.

    One of the constraints is set. The evidence was about `images`, when the collection had
    `gallery_items`; where it has ten times as many, calibrate again.
    """

    threshold: float
    model_fingerprint: str
    mode: CalibrationMode
    precision_at_least: float | None
    false_positive_rate_at_most: float | None
    confidence: float
    images: int
    gallery_items: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class CalibrationPoint:
    """What a threshold reaches on the evidence."""

    threshold: float
    precision: float
    recall: float
    false_positive_rate: float


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """A decision, what it reaches on the evidence, and bounds of what it does beyond.

    Rates, bounds and counts are those of `lookalike.v1.CalibrationReport`; all are zero and
    the curve is empty for a decision that was taken over from another collection. Scores
    are counts of pairs in 200 bins of equal width from -1 to 1.
    """

    decision: Calibration
    precision: float
    recall: float
    false_positive_rate: float
    precision_low: float
    false_positive_rate_high: float
    recall_low: float
    pairs_alike: int
    pairs_other: int
    curve: Sequence[CalibrationPoint]
    alike_scores: Sequence[int]
    other_scores: Sequence[int]
