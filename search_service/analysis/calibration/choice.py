"""Chooses a threshold: the best on the sample, or one that holds beyond it.

`point` takes the threshold of highest recall that meets the constraint on the sample; what
it promises holds for the sample alone. `bound` takes the lowest threshold for which a
confidence bound meets it, by fixed-sequence testing (Maurer, Hothorn and Lehmacher,
"Multiple comparisons in drug clinical trials and preclinical assays", 1995): hypotheses
"the rate at this threshold is too high" are tested one after another from the strictest
threshold down, each at the full level, and the first that is not rejected ends it. The
order does not depend on the labels, so the chance that the chosen threshold is one whose
rate is too high is at most 1 - confidence, although it was chosen on the same data. The
unit is the image: pairs of one image are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_service.analysis.calibration.evidence import Evidence
from search_service.analysis.calibration.exact_bounds import (
    least_units,
    lower_bounds,
    upper_bounds,
)
from search_service.domain.arrays import I64, Flags
from search_service.domain.collection import ConstrainedMeasure

# Where the order begins, in units that would suffice without an error: at three times as
# many, three that are wrong still pass at 95 %.
_MARGIN = 3


@dataclass(frozen=True, slots=True)
class Constraint:
    """Precision of at least `value`, or a false-positive rate of at most `value`."""

    measure: ConstrainedMeasure
    value: float

    @property
    def rate(self) -> float:
        """The greatest rate of errors that meets it."""
        return 1.0 - self.value if self.measure is ConstrainedMeasure.PRECISION else self.value


class NoThreshold(Exception):
    """No threshold meets the constraint; the text says why, and what it takes."""


def choose_point(evidence: Evidence, constraint: Constraint) -> int:
    """Return the place of the threshold of highest recall that meets `constraint`.

    Of several with the same recall, the highest.

    Raises:
        NoThreshold: none does and finds anything.
    """
    if constraint.measure is ConstrainedMeasure.PRECISION:
        meets = evidence.precision >= constraint.value
    else:
        meets = evidence.false_positive_rate <= constraint.value
    able = np.flatnonzero(meets & (evidence.true_matches > 0))
    if not len(able):
        raise NoThreshold(
            "no threshold meets the constraint and finds a pair that is alike: scores of "
            "pairs that are alike and of others are not apart"
        )
    recalls = evidence.recall[able]
    return int(able[np.argmax(recalls)])


def choose_bound(evidence: Evidence, constraint: Constraint, confidence: float) -> int:
    """Return the place of the lowest threshold for which a bound meets `constraint`.

    Raises:
        NoThreshold: the units do not suffice, or there are errors from the first on.
    """
    errors, units = _trials(evidence, constraint)
    needed = least_units(constraint.rate, confidence)
    if units.max() < needed:
        bound = float(upper_bounds(np.array([0]), np.array([int(units.max())]), confidence)[0])
        raise NoThreshold(
            f"{_name(constraint)} with {confidence:.0%} confidence takes at least {needed:,} "
            f"{_unit(constraint)} without an error; there are {int(units.max()):,}, which "
            f"without one bound the rate of errors at {bound:.1%} only: add pairs of other "
            "images, or take mode point, which promises nothing beyond the sample"
        )
    # How many units are flagged does not depend on the labels: the order may begin where
    # they suffice although a few are wrong.
    enough = units >= min(_MARGIN * needed, int(units.max()))
    passed = _passed(upper_bounds(errors, units, confidence) <= constraint.rate, enough)
    passed &= evidence.true_matches > 0
    if not passed.any():
        first = int(np.argmax(enough))
        raise NoThreshold(
            f"{_name(constraint)} cannot be bounded: of {int(units[first]):,} "
            f"{_unit(constraint)} at the strictest threshold, {evidence.thresholds[first]:.3f}, "
            f"{int(errors[first]):,} are wrong, or none finds a pair that is alike"
        )
    return int(np.flatnonzero(passed)[-1])


def bounds_at(evidence: Evidence, place: int, confidence: float) -> dict[str, float]:
    """Return exact one-sided bounds at a threshold.

    `precision_low` over flagged units, `false_positive_rate_high` over those that could
    be wrong, `recall_low` over those with a pair that is alike.
    """

    def at(counts: I64 | int) -> I64:
        return np.array([counts if isinstance(counts, int) else counts[place]])

    wrong, flagged = at(evidence.wrong), at(evidence.flagged)
    return {
        "precision_low": float(lower_bounds(flagged - wrong, flagged, confidence)[0]),
        "false_positive_rate_high": float(
            upper_bounds(wrong, at(evidence.units_other), confidence)[0]
        ),
        "recall_low": float(
            lower_bounds(at(evidence.found), at(evidence.units_alike), confidence)[0]
        ),
    }


def _trials(evidence: Evidence, constraint: Constraint) -> tuple[I64, I64]:
    """Return the errors and the units of which they are, at each threshold."""
    if constraint.measure is ConstrainedMeasure.PRECISION:
        return evidence.wrong, evidence.flagged
    return evidence.wrong, np.full_like(evidence.wrong, evidence.units_other)


def _passed(rejected: Flags, begun: Flags) -> Flags:
    """Return which tests are passed before the first that fails, from where it begins."""
    return begun & np.logical_and.accumulate(rejected | ~begun)


def _name(constraint: Constraint) -> str:
    if constraint.measure is ConstrainedMeasure.PRECISION:
        return f"a precision of {constraint.value:g}"
    return f"a false-positive rate of {constraint.value:g}"


def _unit(constraint: Constraint) -> str:
    if constraint.measure is ConstrainedMeasure.PRECISION:
        return "images with a match"
    return "images with a pair that is not alike"
