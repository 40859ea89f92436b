"""Intervals hold the true mean as often as they say."""

from __future__ import annotations

import numpy as np

from search_service.analysis.evaluation.intervals import CONFIDENCE, mean_interval


def test_intervals_cover_the_mean_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    runs, covered = 300, 0
    for run in range(runs):
        # Precision at 10 of queries, some easy and some hard: skewed and in steps of .1.
        values = rng.binomial(10, rng.beta(2.0, 0.7, 200)) / 10
        low, high = mean_interval(values, seed=run)
        covered += low <= 2.0 / 2.7 <= high
    # Three standard errors of a share of .95 of 300 runs are .038.
    assert abs(covered / runs - CONFIDENCE) <= 0.04


def test_equal_values_have_an_interval_of_their_value() -> None:
    assert mean_interval(np.ones(50), seed=1) == (1.0, 1.0)
    assert mean_interval(np.array([0.5]), seed=1) == (0.5, 0.5)


def test_an_interval_is_the_same_for_the_same_seed() -> None:
    values = np.random.default_rng(3).random(100)
    assert mean_interval(values, 7) == mean_interval(values, 7) != mean_interval(values, 8)
