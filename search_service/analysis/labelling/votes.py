"""Votes of neighbours on a label, and how often such votes are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from search_service.domain.arrays import F32, F64, I64

# The weight of a neighbour that looks nothing alike.
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class Votes:
    """For each item the label with most votes, int64 [n], and its share, float64 [n].

    `second` and `second_share` are those of the next label; -1 and 0 where there is none.
    """

    label: I64
    share: F64
    second: I64
    second_share: F64


def count_votes(labels: I64, scores: F32, kinds: int) -> Votes:
    """Count the votes of neighbours: their labels int64 [n, k] below `kinds`, -1 for none.

    A neighbour's vote weighs its cosine, at least a little: the nearest know best, after
    Dudani, "The distance-weighted k-nearest-neighbor rule" (1976). Scores are float32
    [n, k]; each item has at least one neighbour.
    """
    weights = np.where(labels >= 0, np.maximum(scores, _LEAST_WEIGHT), 0.0).astype(np.float64)
    totals = np.zeros((len(labels), kinds))
    rows = np.broadcast_to(np.arange(len(labels))[:, None], labels.shape)
    np.add.at(totals, (rows, np.maximum(labels, 0)), weights)
    totals /= totals.sum(axis=1, keepdims=True)
    first = totals.argmax(axis=1)
    share = totals[np.arange(len(totals)), first]
    totals[np.arange(len(totals)), first] = -1.0
    second = totals.argmax(axis=1)
    second_share = totals[np.arange(len(totals)), second]
    none = second_share <= 0.0
    return Votes(
        first.astype(np.int64),
        share,
        np.where(none, -1, second).astype(np.int64),
        np.where(none, 0.0, second_share),
    )


def joined(blocks: Sequence[Votes]) -> Votes:
    """Return the votes of blocks of items one after another."""
    return Votes(
        np.concatenate([each.label for each in blocks]),
        np.concatenate([each.share for each in blocks]),
        np.concatenate([each.second for each in blocks]),
        np.concatenate([each.second_share for each in blocks]),
    )


class Confidence:
    """How often votes of a share are right, learnt from items whose label is known.

    Isotonic regression: Zadrozny and Elkan, "Transforming classifier scores into accurate
    multiclass probability estimates" (2002). More votes never mean less confidence.
    """

    def __init__(self, shares: F64, right: F64) -> None:
        """Learn from shares, float64 [n], and whether each was right, 0 or 1."""
        self._curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        # One wrong answer more at either end: no share is certain.
        self._curve.fit(np.append(shares, [0.0, 1.0]), np.append(right, [0.0, 0.0]))

    def of(self, shares: F64) -> F64:
        """Return the confidence of shares, float64 [n]."""
        if not len(shares):  # which the library refuses
            return shares
        confidence: F64 = self._curve.predict(shares)
        return confidence
