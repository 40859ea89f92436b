"""What clusters are called: as those before them that held the same items, else anew."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from search_service.domain.arrays import F64, I64

_NEW = re.compile(r"cluster-(\d{1,9})")
# Of the items in either, those in both: with less in common it is another group.
LEAST_KEPT = 0.25


@dataclass(frozen=True, slots=True)
class Names:
    """A label for each cluster; `kept` is what it shares with its earlier self, NaN if new."""

    labels: Sequence[str]
    kept: F64


def name_clusters(clusters: I64, count: int, earlier: Sequence[str]) -> Names:
    """Name clusters 0 to `count` - 1 of items, int64 [n], -1 for noise.

    `earlier` has each item's earlier label, empty for none. Labels go to clusters so that
    the shared items are most in all, by the Jaccard index; no label goes twice.
    """
    kept = np.full(count, np.nan)
    labels = [""] * count
    names, numbers = np.unique(np.asarray(["", *earlier], dtype=object), return_inverse=True)
    shares = _shares(clusters, count, numbers[1:].astype(np.int64), len(names))
    for cluster, name in zip(*linear_sum_assignment(-shares), strict=True):
        if shares[cluster, name] >= LEAST_KEPT:
            labels[cluster] = names[name]
            kept[cluster] = shares[cluster, name]
    taken = [int(match[1]) for name in names if (match := _NEW.fullmatch(name))]
    next_number = max(taken, default=0) + 1
    for cluster in range(count):
        if not labels[cluster]:
            labels[cluster] = f"cluster-{next_number}"
            next_number += 1
    return Names(labels, kept)


def _shares(clusters: I64, count: int, earlier: I64, names: int) -> F64:
    """Return the Jaccard index of each cluster and each earlier label, [count, names]."""
    inside = clusters >= 0
    pairs = clusters[inside] * names + earlier[inside]
    both = np.bincount(pairs, minlength=count * names).reshape(count, names).astype(np.float64)
    now = np.bincount(clusters[inside], minlength=count)[:, None]
    before = np.bincount(earlier, minlength=names)[None, :]
    shares: F64 = both / np.maximum(now + before - both, 1)
    shares[:, 0] = 0.0  # the empty label, which sorts first
    return shares
