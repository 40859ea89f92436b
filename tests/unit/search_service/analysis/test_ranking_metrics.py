"""Measures of rankings, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from search_service.analysis.evaluation import ranking_metrics as metrics

# Ranks 1, 3 and 6 are relevant, of four relevant items in all.
HITS = np.array([[1, 0, 1, 0, 0, 1]], dtype=bool)
FOUR = np.array([4])


def test_a_worked_example() -> None:
    assert metrics.precision(HITS, 3)[0] == pytest.approx(2 / 3, abs=1e-12)
    assert metrics.recall(HITS, FOUR, 3)[0] == pytest.approx(2 / 4, abs=1e-12)
    assert metrics.reciprocal_rank(HITS)[0] == 1.0
    assert metrics.average_precision(HITS, FOUR)[0] == pytest.approx((1 + 2 / 3 + 3 / 6) / 4)
    assert metrics.r_precision(HITS, FOUR)[0] == pytest.approx(2 / 4)
    gained = 1 + 1 / np.log2(4)
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert metrics.ndcg(HITS, FOUR, 3)[0] == pytest.approx(gained / ideal, abs=1e-12)


def test_the_best_that_can_be_is_bounded_by_depth_and_relevant_items() -> None:
    relevant = np.array([2, 2_500])
    assert metrics.most_precision(relevant, 10).tolist() == [0.2, 1.0]
    assert metrics.most_recall(relevant, 10).tolist() == [1.0, 10 / 2_500]


def test_what_is_not_found_counts_as_nothing() -> None:
    none = np.zeros((1, 4), dtype=bool)
    assert metrics.reciprocal_rank(none)[0] == 0.0
    assert metrics.average_precision(none, FOUR)[0] == 0.0
    assert metrics.ndcg(none, FOUR, 10)[0] == 0.0


def test_precision_counts_missing_ranks_as_misses() -> None:
    assert metrics.precision(np.ones((1, 2), dtype=bool), 10)[0] == pytest.approx(0.2)
    assert metrics.ndcg(np.ones((1, 2), dtype=bool), np.array([2]), 10)[0] == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_whole_rankings_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permutation(200).astype(float)[None, :] / 200
    truth = rng.random((1, 200)) < 0.1
    order = np.argsort(-scores, axis=1)
    hits, relevant = np.take_along_axis(truth, order, 1), truth.sum(axis=1)

    assert metrics.average_precision(hits, relevant)[0] == pytest.approx(
        average_precision_score(truth[0], scores[0]), abs=1e-9
    )
    for k in (1, 5, 10, 100):
        assert metrics.ndcg(hits, relevant, k)[0] == pytest.approx(
            ndcg_score(truth, scores, k=k), abs=1e-9
        )
