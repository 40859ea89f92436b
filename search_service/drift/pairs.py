"""A sequential test of whether new vectors lie apart from earlier ones, in any direction.

The direction in which a change moves vectors is not known beforehand, so it is learnt
while they come: from what came last, against the reference. Each new vector is compared
along it with an earlier one that was put by for this, and is used once. Without a change
the two are as likely the other way round, whatever the past, the direction included: so
a bet on which of them is farther along gains nothing on average. Of such bets holds what
`evidence.py` says. (Betting on a classifier's score of pairs: Podkopaev and Ramdas,
"Sequential predictive two-sample and independence testing", 2023.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search_service.domain.arrays import F32, F64
from search_service.drift.arrays import Arrays, shaped
from search_service.drift.evidence import JUMP, MOST_CAPITAL

# How far back the last vectors go, in bets, of which a direction is learnt.
_MEMORIES = np.array([15.0, 40.0, 120.0])
# How much is bet on a difference of its usual size.
_STAKES = np.array([0.4, 1.2])
_MOST_STAKE = 0.98
PAIR_BETS = len(_MEMORIES) * len(_STAKES)
# Vectors that are put by. Half as many again pass before one is used: a change must be
# there for longer than that before what was put by has changed, too.
POOL = 300
# From this much evidence on each vector is compared, and none is put by.
_SUSPICION = 30.0
_LEAST_LENGTH = 1e-12

Half = npt.NDArray[np.float16]


@dataclass(slots=True)
class Spread:
    """How the reference's vectors are spread: along these directions, float32 [P, D], by so
    much more than elsewhere that a difference there counts less: `damping` float32 [P]."""

    directions: F32
    damping: F32

    @classmethod
    def of(cls, vectors: F32, most: int) -> Spread:
        """Learn it of vectors, float32 [n, D]."""
        centred = vectors - vectors.mean(axis=0)
        _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
        spread = sizes**2 / len(vectors)
        usual = spread.sum() / max(len(spread), 1) or 1.0
        kept = min(most, len(sizes))
        damping = 1.0 - usual / (spread[:kept] + usual)
        return cls(np.ascontiguousarray(directions[:kept]), damping.astype(np.float32))

    def against(self, difference: F64) -> F64:
        """Return the direction that tells two groups of such a mean difference apart best."""
        along = self.directions @ difference
        direction: F64 = difference - (self.damping * along) @ self.directions
        return direction


class Pairs:
    """Bets on pairs of a new vector and one that was put by.

    `pool` is float16 [n, D], the oldest first; new ones are rounded alike, so that nothing
    tells them apart. `mean` float64 [D] is that of `counted` vectors of the reference;
    `latest` float64 [M, D] of the last ones, by memory; `sizes` float64 [M] the mean square
    of differences along each direction. `capital` is float64 [PAIR_BETS].
    """

    def __init__(self, spread: Spread, mean: F64, counted: int) -> None:
        """Begin with an empty pool and what the reference says."""
        self.spread = spread
        self.pool: Half = np.empty((0, len(mean)), dtype=np.float16)
        self.mean = mean
        self.counted = counted
        self.latest: F64 = np.tile(mean, (len(_MEMORIES), 1))
        self.sizes: F64 = np.zeros(len(_MEMORIES))
        self.capital: F64 = np.zeros(PAIR_BETS)
        self.turn = False

    @property
    def evidence(self) -> float:
        """How much speaks for a change."""
        return float(self.capital.sum())

    def again(self) -> None:
        """Forget all evidence, and what the last vectors were."""
        self.capital = np.zeros(PAIR_BETS)
        self.latest = np.tile(self.mean, (len(_MEMORIES), 1))
        self.sizes = np.zeros(len(_MEMORIES))

    def put_by(self, vector: F32) -> None:
        """Keep a vector to be compared with later ones."""
        rounded = vector.astype(np.float16)
        self.pool = np.concatenate([self.pool[-(POOL - 1) :], rounded[None]])

    def add(self, vector: F32) -> None:
        """Take in a vector: bet on it, or put it by."""
        self.turn = not self.turn
        suspicious = self.evidence >= _SUSPICION
        if not len(self.pool) or (not suspicious and self.turn):
            self.put_by(vector)
            return
        new = vector.astype(np.float16).astype(np.float64)
        old = self.pool[0].astype(np.float64)
        self.pool = self.pool[1:]
        self._bet(new - old)
        share = 1.0 / _MEMORIES[:, None]
        self.latest = (1.0 - share) * self.latest + share * new
        self.counted += 1
        self.mean = self.mean + (old - self.mean) / self.counted

    def to_arrays(self) -> Arrays:
        """Return all of it, by name."""
        return {
            "directions": self.spread.directions,
            "damping": self.spread.damping,
            "pool": self.pool,
            "mean": self.mean,
            "counted": np.array(self.counted),
            "latest": self.latest,
            "sizes": self.sizes,
            "capital": self.capital,
        }

    @classmethod
    def from_arrays(cls, dimension: int, arrays: Arrays) -> Pairs:
        """Return the pairs of these arrays.

        Raises:
            KeyError, ValueError: they are those of none.
        """
        directions = shaped(arrays, "directions", (-1, dimension), np.float32)
        damping = shaped(arrays, "damping", (len(directions),), np.float32)
        mean = shaped(arrays, "mean", (dimension,), np.float64)
        pairs = cls(Spread(directions, damping), mean, int(arrays["counted"]))
        memories = len(_MEMORIES)
        pairs.pool = shaped(arrays, "pool", (-1, dimension), np.float16)[-POOL:]
        pairs.latest = shaped(arrays, "latest", (memories, dimension), np.float64)
        pairs.sizes = shaped(arrays, "sizes", (memories,), np.float64)
        pairs.capital = shaped(arrays, "capital", (PAIR_BETS,), np.float64)
        return pairs

    def _bet(self, difference: F64) -> None:
        along = np.array([self._along(latest, difference) for latest in self.latest])
        usual = np.sqrt(self.sizes)
        known = usual > 0
        size = np.where(known, along / np.where(known, usual, 1.0), 0.0)
        gains = 1.0 + _MOST_STAKE * np.tanh(_STAKES[:, None] * size[None, :])
        mixed = (1 - JUMP) * self.capital + JUMP * self.capital.mean()
        self.capital = np.minimum((mixed + 1 / PAIR_BETS) * gains.ravel(), MOST_CAPITAL)
        # After the bet: what it is measured by must not know its outcome.
        share = 1.0 / _MEMORIES
        self.sizes = np.where(known, (1 - share) * self.sizes + share * along**2, along**2)

    def _along(self, latest: F64, difference: F64) -> float:
        direction = self.spread.against(latest - self.mean)
        length = float(np.linalg.norm(direction))
        return float(direction @ difference) / length if length > _LEAST_LENGTH else 0.0
