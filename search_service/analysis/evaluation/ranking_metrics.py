"""Measures of a ranking against binary relevance, a value for each query.

Definitions are those of Manning, Raghavan and Schütze, "Introduction to Information
Retrieval" (2008), chapter 8; nDCG as in Järvelin and Kekäläinen, "Cumulated gain-based
evaluation of IR techniques" (2002), with gains of 0 and 1 and a discount of
log2(rank + 1).
"""

from __future__ import annotations

import numpy as np

from search_service.domain.arrays import F64, I64, Flags


def precision(hits: Flags, k: int) -> F64:
    """Return the share of the first `k` that is relevant, float64 [Q].

    `hits` is bool [Q, K]: whether what stands at each rank is relevant. A ranking that
    is shorter than `k` counts as filled up with what is not.
    """
    shares: F64 = hits[:, :k].sum(axis=1) / k
    return shares


def recall(hits: Flags, relevant: I64, k: int) -> F64:
    """Return the share of the `relevant` items, int64 [Q] >= 1, among the first `k`."""
    shares: F64 = hits[:, :k].sum(axis=1) / relevant
    return shares


def average_precision(hits: Flags, relevant: I64) -> F64:
    """Return the mean of the precision at each relevant item's rank, float64 [Q].

    One that is not in the ranking counts as 0; so over all K of a ranking that was cut
    it is the average precision at K, except that it is divided by all relevant items.
    """
    ranks = np.arange(1, hits.shape[1] + 1)
    precisions = np.cumsum(hits, axis=1) / ranks
    means: F64 = np.where(hits, precisions, 0.0).sum(axis=1) / relevant
    return means


def reciprocal_rank(hits: Flags) -> F64:
    """Return 1 / the rank of the first relevant item, 0 where there is none."""
    first = hits.argmax(axis=1)
    return np.where(hits.any(axis=1), 1.0 / (first + 1), 0.0)


def ndcg(hits: Flags, relevant: I64, k: int) -> F64:
    """Return the normalised discounted cumulated gain of the first `k`."""
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    width = min(k, hits.shape[1])
    gained = hits[:, :width] @ discounts[:width]
    ideal: F64 = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(relevant, k)]
    return gained / ideal


def r_precision(hits: Flags, relevant: I64) -> F64:
    """Return the precision at as many ranks as there are relevant items.

    `hits` must be as wide as the largest of `relevant`.
    """
    found = np.cumsum(hits, axis=1)
    return found[np.arange(len(hits)), relevant - 1] / relevant


def most_precision(relevant: I64, k: int) -> F64:
    """Return the greatest `precision` that can be: few relevant items do not fill `k`."""
    return np.minimum(relevant, k) / k


def most_recall(relevant: I64, k: int) -> F64:
    """Return the greatest `recall` that can be: `k` may not hold all relevant items."""
    return np.minimum(relevant, k) / relevant
