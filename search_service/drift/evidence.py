"""A sequential test for a change, of several measures of a stream of queries.

For each measure a query has a rank among all before it, made uniform on 0..1 by breaking
ties at random: a conformal p-value. As long as the queries come in an order that says
nothing (they are exchangeable), these are independent and uniform, whatever the measure's
distribution is (Vovk et al., "Retrain or not retrain: conformal test martingales for
change-point detection", 2021). Bets against that gain nothing on average. A detector adds
a new bet at every query and lets all run, as Shiryaev and Roberts did; Shin, Ramdas and
Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2023),
show what holds of that: after n queries it is n on average, so that it passes a threshold
c within n queries with a probability of n / c at most.
"""

from __future__ import annotations

import numpy as np

from search_service.domain.arrays import F64, I64, Flags

# How much is bet on ranks that are high or low, and on ranks that are far out or in the
# middle. Both are zero on average; no bet can lose all.
_ON_SHIFT = (-0.9, -0.5, -0.25, 0.25, 0.5, 0.9)
_ON_SPREAD = (-0.9, 0.9, 1.8)
BETS = len(_ON_SHIFT) + len(_ON_SPREAD)
# The share of a bet's capital that goes to all others at each query, so that the bet
# which suits a change is there when it comes ("simple jumper", Vovk et al. above).
JUMP = 0.01
# Beyond any threshold: keeps products finite.
MOST_CAPITAL = 1e30


class Evidence:
    """The capital of the bets on each of J measures, float64 [J, BETS]."""

    def __init__(self, capital: F64) -> None:
        self.capital = capital

    @classmethod
    def none(cls, measures: int) -> Evidence:
        """Return that of no query."""
        return cls(np.zeros((measures, BETS)))

    @property
    def values(self) -> F64:
        """How much speaks for a change of each measure, float64 [J]."""
        values: F64 = self.capital.sum(axis=1)
        return values

    def add(self, ranks: F64, present: Flags) -> None:
        """Take in one query: `ranks` float64 [J] in 0..1, where it has the measure."""
        before = self.capital
        mixed = (1 - JUMP) * before + JUMP * before.mean(axis=1, keepdims=True)
        shift = 2 * ranks[:, None] - 1
        spread = 6 * (ranks[:, None] - 0.5) ** 2 - 0.5
        gains = np.concatenate(
            [1 + np.array(_ON_SHIFT) * shift, 1 + np.array(_ON_SPREAD) * spread], axis=1
        )
        after = np.minimum((mixed + 1 / BETS) * gains, MOST_CAPITAL)
        self.capital = np.where(present[:, None], after, before)


class Ranks:
    """Where new values stand among all before them, in bins that were fixed beforehand.

    `edges` is float64 [J, B - 1] ascending, `counts` int64 [J, B]. Bins only coarsen the
    measures: ranks among binned values are as uniform, with ties broken at random.
    """

    def __init__(self, edges: F64, counts: I64) -> None:
        self.edges = edges
        self.counts = counts

    @classmethod
    def in_bins_of(cls, values: F64, bins: int) -> Ranks:
        """Return empty ones whose bins hold equal shares of `values`, float64 [n, J].

        These values must not be added: they would not stand among the others by chance.
        """
        shares = np.arange(1, bins) / bins
        edges = np.nanquantile(values, shares, axis=0).T
        return cls(np.ascontiguousarray(edges), np.zeros((edges.shape[0], bins), dtype=np.int64))

    def add(self, values: F64, present: Flags, random: np.random.Generator) -> F64:
        """Take in values, float64 [J], and return their ranks, float64 [J] in 0..1."""
        bins = (self.edges < values[:, None]).sum(axis=1)
        places = np.arange(len(values))
        self.counts[places[present], bins[present]] += 1
        below = np.where(np.arange(self.counts.shape[1]) < bins[:, None], self.counts, 0).sum(1)
        level = self.counts[places, bins]
        total = np.maximum(self.counts.sum(axis=1), 1)
        ranks: F64 = (below + random.random(len(values)) * level) / total
        return ranks
