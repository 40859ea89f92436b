"""Measures that are learnt and watched together: first a reference, then evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.domain.arrays import F64, I64, Flags
from search_service.drift.arrays import Arrays, shaped
from search_service.drift.evidence import BETS, Evidence, Ranks

# Queries that say where the bins lie (and which directions are measured), and queries that
# stand in them before any is bet on. A reference of 500 in all.
FITTED, SETTLED = 200, 300
REFERENCE = FITTED + SETTLED
BINS = 32
# Queries that the latest values are told of.
RECENT = 200


class Group:
    """Measures of one kind; a value that is NaN is one that the query does not have.

    `settled` holds the reference's values, float64 [n, J], `recent` the newest ones.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Begin to learn."""
        self.names = names
        self.fitted = np.empty((0, len(names)))
        self.settled = np.empty((0, len(names)))
        self.recent = np.empty((0, len(names)))
        self.watched = 0
        self.ranks: Ranks | None = None
        self.evidence = Evidence.none(len(names))
        self.able: Flags = np.ones(len(names), dtype=np.bool_)

    @property
    def learnt(self) -> int:
        """Queries of the reference so far."""
        return (FITTED if self.ranks is not None else len(self.fitted)) + len(self.settled)

    @property
    def is_watching(self) -> bool:
        """Whether the reference is whole."""
        return self.learnt >= REFERENCE

    def add(self, values: F64, random: np.random.Generator) -> None:
        """Take in one query's values, float64 [J]."""
        self.note(values)
        if self.ranks is None:
            self.fitted = np.concatenate([self.fitted, values[None]])
            if len(self.fitted) == FITTED:
                self.begin(self.fitted)
            return
        present = np.isfinite(values) & self.able
        ranks = self.ranks.add(np.where(present, values, 0.0), present, random)
        if len(self.settled) < SETTLED:
            self.settled = np.concatenate([self.settled, values[None]])
            return
        self.evidence.add(ranks, present)
        self.watched += 1

    def begin(self, fitted: F64) -> None:
        """Lay down the bins by values, float64 [n, J]; what few queries have is left out."""
        self.able = np.isfinite(fitted).sum(axis=0) >= FITTED // 2
        self.ranks = Ranks.in_bins_of(np.where(self.able, fitted, 0.0), BINS)
        self.fitted = fitted[:0]

    def note(self, values: F64) -> None:
        """Remember values among the newest, and learn nothing of them."""
        self.recent = np.concatenate([self.recent[-(RECENT - 1) :], values[None]])

    def again(self, random: np.random.Generator) -> None:
        """Forget everything since the reference, which must be whole."""
        assert self.ranks is not None, "a whole reference has bins"
        self.ranks = Ranks(self.ranks.edges, np.zeros_like(self.ranks.counts))
        for values in self.settled:
            present = np.isfinite(values) & self.able
            self.ranks.add(np.where(present, values, 0.0), present, random)
        self.evidence = Evidence.none(len(self.names))
        self.watched = 0
        self.recent = self.recent[:0]

    def to_arrays(self) -> Arrays:
        """Return all of it, by name."""
        arrays: Arrays = {
            "fitted": self.fitted,
            "settled": self.settled,
            "recent": self.recent,
            "able": self.able,
            "capital": self.evidence.capital,
            "watched": np.array(self.watched),
        }
        if self.ranks is not None:
            arrays |= {"edges": self.ranks.edges, "counts": self.ranks.counts}
        return arrays

    @classmethod
    def from_arrays(cls, names: Sequence[str], arrays: Arrays) -> Group:
        """Return the group of these arrays.

        Raises:
            KeyError, ValueError: they are those of none.
        """
        group, count = cls(names), len(names)
        group.fitted = shaped(arrays, "fitted", (-1, count), np.float64)
        group.settled = shaped(arrays, "settled", (-1, count), np.float64)
        group.recent = shaped(arrays, "recent", (-1, count), np.float64)
        group.able = shaped(arrays, "able", (count,), np.bool_)
        group.watched = int(arrays["watched"])
        group.evidence = Evidence(shaped(arrays, "capital", (count, BETS), np.float64))
        if "edges" in arrays:
            counts: I64 = shaped(arrays, "counts", (count, BINS), np.int64)
            group.ranks = Ranks(shaped(arrays, "edges", (count, BINS - 1), np.float64), counts)
        return group
