"""What is known of pairs at each threshold that may be chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, F64, I64, Flags

# Thresholds that are laid down before any label is looked at, as fixed-sequence testing
# needs: from 1 down. A step is finer than two encodings of one picture differ by.
GRID: F64 = np.round(np.arange(1_000, -1_001, -1) / 1_000, 3)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counts at `thresholds`, float64 [T] descending; each other array is int64 [T].

    A pair matches where its score is at least the threshold. A unit is an image with all
    its pairs: `flagged` units have a match, `wrong` ones one that is not alike.
    `pairs_alike` and `pairs_other` are all pairs of either kind; `units_other` the units
    that could be wrong, `units_alike` those with a pair that is alike, of which `found`
    have all such pairs matching.
    """

    thresholds: F64
    true_matches: I64
    false_matches: I64
    flagged: I64
    wrong: I64
    found: I64
    pairs_alike: int
    pairs_other: int
    units: int
    units_alike: int
    units_other: int

    @property
    def precision(self) -> F64:
        """Share of matches that are alike; 1 where nothing matches."""
        matches = self.true_matches + self.false_matches
        return np.where(matches > 0, self.true_matches / np.maximum(matches, 1), 1.0)

    @property
    def recall(self) -> F64:
        """Share of the pairs that are alike that match."""
        return self.true_matches / max(self.pairs_alike, 1)

    @property
    def false_positive_rate(self) -> F64:
        """Share of the units that could be wrong that are."""
        return self.wrong / max(self.units_other, 1)


def of_pairs(scores: F64, alike: Flags, units: I64, thresholds: F64 | None = None) -> Evidence:
    """Return the evidence of pairs: float64 [n], bool [n] and int64 [n] 0 … U - 1.

    Thresholds are the distinct scores unless they are given, descending.
    """
    if thresholds is None:
        thresholds = np.unique(scores)[::-1]
    worst_alike = -best_of_units(-scores[alike], units[alike])
    best_other = best_of_units(scores[~alike], units[~alike])
    best = best_of_units(scores, units)
    return Evidence(
        thresholds=thresholds,
        true_matches=_at_least(scores[alike], thresholds),
        false_matches=_at_least(scores[~alike], thresholds),
        flagged=_at_least(best, thresholds),
        wrong=_at_least(best_other, thresholds),
        found=_at_least(worst_alike, thresholds),
        pairs_alike=int(alike.sum()),
        pairs_other=int((~alike).sum()),
        units=len(best),
        units_alike=len(worst_alike),
        units_other=len(best_other),
    )


class Gathering:
    """Evidence of whole rows of scores, at the thresholds of `GRID`."""

    def __init__(self) -> None:
        self._histograms = np.zeros((2, len(GRID)), dtype=np.int64)
        self._best: list[F32] = []
        self._best_other: list[F32] = []
        self._worst_alike: list[F32] = []
        self._units: list[I64] = []

    def add(self, scores: F32, alike: Flags, other: Flags, units: I64) -> None:
        """Take rows of scores, float32 [b, n], of `units`, int64 [b].

        bool [b, n] say which pairs are of which kind. A unit may have several rows.
        """
        self._units.append(units)
        places = np.clip(np.ceil((1.0 - scores) * 1_000 - 1e-4), 0, len(GRID) - 1)
        places = places.astype(np.int64)
        for kind, which in enumerate((alike, other)):
            self._histograms[kind] += np.bincount(places[which], minlength=len(GRID))

        self._best.append(np.where(alike | other, scores, -np.inf).max(axis=1))
        self._best_other.append(np.where(other, scores, -np.inf).max(axis=1))
        self._worst_alike.append(np.where(alike, scores, np.inf).min(axis=1))

    def evidence(self) -> Evidence:
        """Return what was gathered."""
        best = self._best_of_units(self._best)
        other = self._best_of_units(self._best_other)
        alike = -self._best_of_units([-each for each in self._worst_alike])
        true_matches, false_matches = np.cumsum(self._histograms, axis=1)
        best = best[np.isfinite(best)]
        alike, other = alike[np.isfinite(alike)], other[np.isfinite(other)]
        return Evidence(
            thresholds=GRID,
            true_matches=true_matches,
            false_matches=false_matches,
            flagged=_at_least(best, GRID - _SLACK),
            wrong=_at_least(other, GRID - _SLACK),
            found=_at_least(alike, GRID - _SLACK),
            pairs_alike=int(self._histograms[0].sum()),
            pairs_other=int(self._histograms[1].sum()),
            units=len(best),
            units_alike=len(alike),
            units_other=len(other),
        )

    def _best_of_units(self, best: list[F32]) -> F64:
        """Return the best score of each unit, float64 [U], -inf where it has none."""
        _, numbers = np.unique(np.concatenate(self._units), return_inverse=True)
        whole = np.full(numbers.max(initial=-1) + 1, -np.inf)
        np.maximum.at(whole, numbers, np.concatenate(best))
        return whole


# A float32 score of a threshold itself may be below it by as much as its rounding.
_SLACK = 1e-7


def best_of_units(scores: F64, units: I64) -> F64:
    """Return the best score of each unit that has one, float64 [m], in no order."""
    if not len(scores):
        return np.empty(0)
    order = np.lexsort((-scores, units))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = units[order][1:] != units[order][:-1]
    return scores[order][first]


def _at_least(values: F64, thresholds: F64) -> I64:
    """Return how many of `values` reach each threshold, int64 [T]."""
    ascending = np.sort(values)
    counts: I64 = len(values) - np.searchsorted(ascending, thresholds, side="left")
    return counts
