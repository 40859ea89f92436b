"""Exact confidence bounds of a share: Clopper and Pearson, "The use of confidence or
fiducial limits illustrated in the case of the binomial" (Biometrika, 1934)."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from search_service.domain.arrays import F64, I64


def upper_bounds(counts: I64, totals: I64, confidence: float) -> F64:
    """Return one-sided upper bounds of the share that `counts` of `totals` are, float64 [n].

    The true share is above its bound with probability of at most 1 - `confidence`. 1.0
    where nothing was counted.
    """
    with np.errstate(invalid="ignore"):
        bounds = stats.beta.ppf(confidence, counts + 1, totals - counts)
    return np.where(counts < totals, bounds, 1.0)


def lower_bounds(counts: I64, totals: I64, confidence: float) -> F64:
    """Return one-sided lower bounds of the share that `counts` of `totals` are, float64 [n].

    0.0 where nothing was counted.
    """
    return 1.0 - upper_bounds(totals - counts, totals, confidence)


def least_units(rate: float, confidence: float) -> int:
    """Return how many units without an error it takes to bound a rate of errors at `rate`.

    The n with (1 - `rate`) ** n <= 1 - `confidence`.
    """
    return math.ceil(math.log(1.0 - confidence) / math.log1p(-rate))
