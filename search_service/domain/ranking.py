"""What orders hits besides likeness, as frozen values.

A curve takes a number, or a point in time in microseconds since 1970, to 0..1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from search_service.domain.arrays import F32
from search_service.domain.conditions import FieldPath, Instant, Scalar


@dataclass(frozen=True, slots=True)
class Linear:
    """0 at `start`, 1 at `end`, which differ; cut off beyond."""

    start: float
    end: float

    def at(self, value: float) -> float:
        """The curve's value."""
        return _cut((value - self.start) / (self.end - self.start))


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """0 at `start`, 1 at `end`, which is greater; cut off beyond."""

    start: float
    end: float

    def at(self, value: float) -> float:
        """The curve's value."""
        if value <= self.start:
            return 0.0
        return _cut(math.log1p(value - self.start) / math.log1p(self.end - self.start))


class DecayShape(Enum):
    """The form of a decay; numbers as in `lookalike.v1.DecayShape`."""

    LINEAR = 1
    EXPONENTIAL = 2
    GAUSS = 3


@dataclass(frozen=True, slots=True)
class Decay:
    """1 up to `offset` from `origin`, `at_scale` at `scale` past that."""

    shape: DecayShape
    origin: float
    scale: float
    offset: float
    at_scale: float

    def at(self, value: float) -> float:
        """The curve's value."""
        far = max(0.0, abs(value - self.origin) - self.offset) / self.scale
        match self.shape:
            case DecayShape.LINEAR:
                return max(0.0, 1.0 - (1.0 - self.at_scale) * far)
            case DecayShape.EXPONENTIAL:
                power = far
            case DecayShape.GAUSS:
                power = far * far
        return float(self.at_scale**power) if power < _FAR else 0.0


Curve: TypeAlias = Linear | Logarithmic | Decay
# Past it every `at_scale` up to 1 - 2**-24 has come to nothing in float32.
_FAR = 1e10


@dataclass(frozen=True, slots=True)
class Boost:
    """`weight` times the curve of a field; of times where `of_times` says so."""

    field: FieldPath
    weight: float
    curve: Curve
    of_times: bool = False
    missing: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """Boosts, diversity and how many candidates a query has; 0 for the usual number."""

    boosts: tuple[Boost, ...] = ()
    diversity: float = 0.0
    candidates: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class BestScore:
    """Examples that count one by one: float32 [P, D] and [N, D], unit L2."""

    positives: F32
    negatives: F32


class BoostPart(NamedTuple):
    """What a boost did: the value that counted (None: missing), the curve's, what was added."""

    value: Scalar | None
    curve: float
    added: float


class HitRanking(NamedTuple):
    """Why a hit has its place; None where there is no such part."""

    rank_score: float
    boosts: tuple[BoostPart, ...] = ()
    redundancy: float | None = None
    negative: float | None = None


def best_of(boost: Boost, values: list[float]) -> BoostPart:
    """Return the part of the value on which the curve is greatest."""
    best = max(values, key=lambda value: (boost.curve.at(value), -value), default=None)
    if best is None:
        return BoostPart(None, boost.missing, boost.weight * boost.missing + 0.0)  # no -0
    curve = boost.curve.at(best)
    shown = Instant(int(best)) if boost.of_times else best
    return BoostPart(shown, curve, boost.weight * curve + 0.0)


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))
