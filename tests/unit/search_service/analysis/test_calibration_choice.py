"""Thresholds: a worked example, exact bounds, and what they promise, in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from search_service.analysis.calibration.choice import (
    Constraint,
    NoThreshold,
    bounds_at,
    choose_bound,
    choose_point,
)
from search_service.analysis.calibration.evidence import GRID, Gathering, of_pairs
from search_service.analysis.calibration.exact_bounds import (
    least_units,
    lower_bounds,
    upper_bounds,
)
from search_service.domain.collection import ConstrainedMeasure

SCORES = np.array([0.95, 0.92, 0.88, 0.83, 0.78, 0.65, 0.55, 0.40])
ALIKE = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
PRECISE = Constraint(ConstrainedMeasure.PRECISION, 0.90)


def test_the_point_of_eight_pairs() -> None:
    evidence = of_pairs(SCORES, ALIKE, np.arange(8))
    place = choose_point(evidence, PRECISE)
    assert (evidence.thresholds[place], evidence.recall[place]) == (0.88, 0.75)
    assert evidence.precision[place] == 1.0


def test_eight_pairs_bound_nothing() -> None:
    evidence = of_pairs(SCORES, ALIKE, np.arange(8), GRID)
    with pytest.raises(NoThreshold, match="takes at least 29 images with a match"):
        choose_bound(evidence, PRECISE, 0.95)


def test_no_point_where_the_nearest_pair_is_not_alike() -> None:
    evidence = of_pairs(np.array([0.9, 0.8]), np.array([False, True]), np.arange(2))
    with pytest.raises(NoThreshold, match="are not apart"):
        choose_point(evidence, PRECISE)


def test_bounds_are_those_of_the_binomial() -> None:
    # No error in 150: the rate is at most 2 % with 95 % confidence.
    assert upper_bounds(np.array([0]), np.array([150]), 0.95)[0] == pytest.approx(0.01977, abs=1e-5)
    (high,) = upper_bounds(np.array([3]), np.array([200]), 0.95)
    assert stats.binom.cdf(3, 200, high) == pytest.approx(0.05, abs=1e-9)
    (low,) = lower_bounds(np.array([190]), np.array([200]), 0.95)
    assert stats.binom.sf(189, 200, low) == pytest.approx(0.05, abs=1e-9)
    assert upper_bounds(np.array([5, 0]), np.array([5, 0]), 0.95).tolist() == [1.0, 1.0]
    assert lower_bounds(np.array([0]), np.array([0]), 0.95).tolist() == [0.0]
    assert [least_units(rate, 0.95) for rate in (0.02, 0.01, 0.1)] == [149, 299, 29]


def test_an_image_with_many_pairs_is_one_unit() -> None:
    # One image's hundred wrong pairs are one error; a hundred right ones no hundred proofs.
    scores = np.concatenate([np.full(100, 0.99), np.linspace(0.5, 0.6, 100)])
    alike = np.arange(200) < 100
    units = np.repeat([0, 1], 100)
    evidence = of_pairs(scores, alike, units, GRID)
    assert (evidence.units, evidence.units_alike, evidence.units_other) == (2, 1, 1)
    with pytest.raises(NoThreshold):
        choose_bound(evidence, PRECISE, 0.95)


def test_rows_of_scores_count_as_their_pairs_do() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(-1, 1, (40, 30)).round(3).astype(np.float32)
    alike = rng.random((40, 30)) < 0.2
    other = ~alike & (rng.random((40, 30)) < 0.9)
    gathering = Gathering()
    for start in (0, 15):
        part = slice(start, 15 if start == 0 else 40)
        gathering.add(scores[part], alike[part], other[part], np.arange(40)[part] // 2)
    rows = gathering.evidence()
    counted = alike | other
    pairs = of_pairs(
        scores[counted].astype(np.float64).round(3),
        alike[counted],
        np.repeat(np.arange(40) // 2, 30).reshape(40, 30)[counted],
        GRID,
    )
    for name in ("true_matches", "false_matches", "flagged", "wrong", "found"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(pairs, name), err_msg=name)
    assert (rows.units, rows.units_alike) == (pairs.units, pairs.units_alike)


def test_a_bound_holds_beyond_the_sample_as_often_as_it_says() -> None:
    """Scores of images that are not alike are normal: the true rate is known."""
    rng, level, confidence = np.random.default_rng(2), 0.05, 0.9
    chosen_too_low, chosen = 0, 0
    for _ in range(400):
        others, copies = rng.normal(0.5, 0.1, 300), rng.normal(0.85, 0.05, 300)
        scores = np.concatenate([others, copies]).clip(-1, 1)
        alike = np.repeat([False, True], 300)
        evidence = of_pairs(scores, alike, np.tile(np.arange(300), 2), GRID)
        constraint = Constraint(ConstrainedMeasure.FALSE_POSITIVE_RATE, level)
        threshold = evidence.thresholds[choose_bound(evidence, constraint, confidence)]
        chosen += 1
        chosen_too_low += stats.norm.sf(threshold, 0.5, 0.1) > level
    # Three standard errors of a share of .1 of 400 runs are .045; and it is no wild guess.
    assert 0 < chosen_too_low / chosen <= 0.1 + 0.045


def test_a_precision_bound_holds_beyond_the_sample_as_often_as_it_says() -> None:
    rng, confidence = np.random.default_rng(4), 0.9
    wrong = 0
    for _ in range(300):
        scores = rng.uniform(0.4, 1.0, 500)
        alike = rng.random(500) < _chance(scores)
        evidence = of_pairs(scores, alike, np.arange(500), GRID)
        place = choose_bound(evidence, Constraint(ConstrainedMeasure.PRECISION, 0.9), confidence)
        above = np.linspace(evidence.thresholds[place], 1.0, 10_001)
        wrong += _chance(above).mean() < 0.9
    assert wrong / 300 <= 0.1 + 0.052


def _chance(
    scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """How likely a pair of such a score is alike."""
    return 1 / (1 + np.exp(-20 * (scores - 0.7)))


def test_bounds_are_given_at_any_threshold() -> None:
    evidence = of_pairs(SCORES, ALIKE, np.arange(8))
    bounds = bounds_at(evidence, choose_point(evidence, PRECISE), 0.95)
    assert bounds["precision_low"] == pytest.approx(0.05 ** (1 / 3), abs=1e-9)
    assert 0 < bounds["recall_low"] < 0.75
    assert 0 < bounds["false_positive_rate_high"] < 1
