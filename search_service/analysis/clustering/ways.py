"""Ways to find clusters: centres, or dense places. Each sees a sample; the others join it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import silhouette_samples

from search_service.analysis.clustering.directions import sampled
from search_service.analysis.jobs import Progress
from search_service.domain.arrays import F32, F64, I64

# Centres of so many items are those of all to within the noise of the draw.
MOST_FOR_CENTRES = 20_000
# HDBSCAN compares nearly all pairs in 64 dimensions: its time grows with the square.
MOST_FOR_DENSITY = 10_000
# Numbers of clusters are tried on so many, and judged by so many of these.
_TRIED_ON, _JUDGED_ON = 10_000, 2_000
# So many starts for the final centres; the best is kept.
_STARTS = 4
# Silhouettes that are nearly flat are no reason for more clusters: of 296 photographs of
# groceries in 60 classes, .310 with 64 and .313 with 96.
AS_CLEAR = 0.95
# Each number that is tried is about so many times the one before.
_STEP = 1.3
SILHOUETTE_ITEMS = 4_000
# Distances held at a time: 32 MiB.
_DISTANCES = 8 << 20


@dataclass(frozen=True, slots=True)
class Grouped:
    """`labels` is int64 [n], -1 for noise; `tried` are numbers of clusters with silhouettes."""

    labels: I64
    fitted: int
    tried: Sequence[tuple[int, float]] = ()


def by_centres(
    rows: F32, wanted: int, most: int, seed: int, report: Callable[[Progress], None]
) -> Grouped:
    """Group float32 [n, d] around `wanted` centres, or 0: the clearest number up to `most`.

    There are no more clusters than different rows.
    """
    rng = np.random.default_rng(seed)
    fitted = np.asarray(rows[sampled(len(rows), MOST_FOR_CENTRES, rng)])
    different = len(np.unique(fitted, axis=0))
    tried: list[tuple[int, float]] = []
    if not wanted:
        tried = _try_numbers(fitted, min(most, different - 1), seed, report)
        wanted = clearest(tried)
    report(Progress("finding centres", 0, 1))
    means = KMeans(min(wanted, different), n_init=_STARTS, random_state=seed).fit(fitted)
    report(Progress("finding centres", 1, 1))
    labels = _nearest(rows, means.cluster_centers_.astype(np.float32), report)
    return Grouped(labels, len(fitted), tried)


def clearest(tried: Sequence[tuple[int, float]]) -> int:
    """Return the least number whose silhouette is about the greatest; 1 of none."""
    best = max((value for _, value in tried), default=0.0)
    least = AS_CLEAR * best if best > 0 else best
    return next((number for number, value in tried if value >= least), 1)


def _try_numbers(
    rows: F32, most: int, seed: int, report: Callable[[Progress], None]
) -> list[tuple[int, float]]:
    rng = np.random.default_rng(seed + 1)
    some = rows[sampled(len(rows), _TRIED_ON, rng)]
    judged = sampled(len(some), _JUDGED_ON, rng)
    numbers = numbers_to_try(min(most, len(some) - 1, len(judged) - 1))
    tried: list[tuple[int, float]] = []
    for place, number in enumerate(numbers):
        report(Progress("trying numbers of clusters", place, len(numbers)))
        labels = KMeans(number, n_init=1, random_state=seed).fit(some).labels_[judged]
        if 1 < len(np.unique(labels)) < len(labels):
            tried.append((number, float(silhouette_samples(some[judged], labels).mean())))
    return tried


def numbers_to_try(most: int) -> list[int]:
    """Return numbers of clusters from 2 to `most`, ever further apart; none below 2."""
    numbers = []
    number = 2
    while number < most:
        numbers.append(number)
        number = max(number + 1, math.floor(number * _STEP))
    return [*numbers, most] if most >= 2 else numbers


def by_density(rows: F32, least: int, seed: int, report: Callable[[Progress], None]) -> Grouped:
    """Find dense places of at least `least` items in float32 [n, d].

    The leaves of HDBSCAN's tree are taken: with its other choice, "excess of mass", 296
    photographs of groceries fell into 20 clusters of which one held most (adjusted Rand
    index .13; leaves .73 with clusters of at least 3).
    """
    rng = np.random.default_rng(seed)
    chosen = sampled(len(rows), MOST_FOR_DENSITY, rng)
    fitted = np.asarray(rows[chosen])
    report(Progress("finding dense places", 0, 1))
    found = HDBSCAN(
        min_cluster_size=min(least, len(fitted)),
        min_samples=min(least, 3, len(fitted)),
        cluster_selection_method="leaf",
        copy=True,
    ).fit(fitted)
    report(Progress("finding dense places", 1, 1))
    labels = found.labels_.astype(np.int64)
    if len(chosen) == len(rows):
        return Grouped(labels, len(fitted))
    return Grouped(labels[_nearest(rows, fitted, report)], len(fitted))


def _nearest(rows: F32, centres: F32, report: Callable[[Progress], None]) -> I64:
    """Return which of `centres`, float32 [k, d], is nearest to each row, int64 [n]."""
    lengths = np.einsum("kd,kd->k", centres, centres)
    step = max(1, _DISTANCES // len(centres))
    nearest = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        nearest[start : start + step] = (lengths - 2 * (block @ centres.T)).argmin(axis=1)
        report(Progress("assigning items", start + len(block), len(rows)))
    return nearest


def silhouettes(rows: F32, labels: I64, seed: int) -> tuple[I64, F64]:
    """Return sampled rows that are in clusters, int64 [m], and the silhouette of each.

    Empty where there are not two clusters to compare.
    """
    inside = np.flatnonzero(labels >= 0)
    rng = np.random.default_rng(seed)
    chosen = inside[sampled(len(inside), SILHOUETTE_ITEMS, rng)]
    if not 1 < len(np.unique(labels[chosen])) < len(chosen):
        return np.empty(0, dtype=np.int64), np.empty(0)
    return chosen, silhouette_samples(np.asarray(rows[chosen]), labels[chosen])
