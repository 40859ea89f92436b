"""Confidence intervals of means over queries."""

from __future__ import annotations

import numpy as np
from scipy import stats

from search_service.domain.arrays import F64

CONFIDENCE = 0.95
_RESAMPLES = 2_000


def mean_interval(values: F64, seed: int) -> tuple[float, float]:
    """Return the ends of a bootstrap interval for the mean of `values`, float64 [Q].

    Bias-corrected and accelerated: Efron, "Better bootstrap confidence intervals" (1987),
    at `CONFIDENCE`. It is about which queries were drawn; the gallery is taken as given.
    Both ends are the mean where all values are equal.
    """
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) == 0:
        return mean, mean
    drawn = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        batch=max(1, 8_000_000 // len(values)),
        rng=np.random.default_rng(seed),
    )
    low, high = drawn.confidence_interval
    return float(low), float(high)
