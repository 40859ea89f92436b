"""One collection's queries, watched for a change; pure, and used by one thread at a time."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from search_service.domain.arrays import F32, F64
from search_service.drift.arrays import Arrays, shaped
from search_service.drift.group import FITTED, Group
from search_service.drift.measures import DIRECTIONS, measure, names_of
from search_service.drift.pairs import Pairs, Spread

SCORES = ("top_score", "tenth_score")
# The vectors as a whole, compared in pairs.
PAIRS = "vectors"
# Scores rise as a collection grows. Beyond this they are learnt anew.
_MOST_GROWTH = 1.1
# A query that is sent again and again, as by a monitor, is no new one.
_REMEMBERED = 1_024
# Queries that a point of the history tells of, and how many points are kept.
WINDOW = 50
MOST_POINTS = 400
MOST_ALARMS = 20


class DriftState(StrEnum):
    """What a monitor does: it learns the reference, watches, or has raised an alarm."""

    LEARNING = "learning"
    WATCHING = "watching"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class Sample:
    """A query: its vector, float32 [D], unit L2, and the scores of its first and tenth hit
    (NaN: none, or not comparable), among `items`. `time_s` is since 1970."""

    vector: F32
    top_score: float
    tenth_score: float
    items: int
    time_s: float


@dataclass(frozen=True, slots=True)
class Point:
    """The median of each measure over a window of queries, NaN where none had it.

    `evidence` is the greatest of the measures' at its end, as a share of the threshold.
    """

    time_s: float
    queries: int
    evidence: float
    medians: Sequence[float]


@dataclass(frozen=True, slots=True)
class Alarm:
    """When evidence passed the threshold, after how many watched queries, in which measures."""

    time_s: float
    queries: int
    measures: Sequence[str]


class Monitor:
    """Learns what queries are like, and tells when they are no longer.

    Without a change, an alarm within n watched queries has a probability of at most
    n / `mean_queries`.
    """

    def __init__(self, fingerprint: str, dimension: int, mean_queries: float) -> None:
        """Begin to learn the queries of vectors of `dimension`, of model `fingerprint`."""
        self.fingerprint = fingerprint
        self.dimension = dimension
        self.mean_queries = mean_queries
        self.random = np.random.default_rng()
        self.vectors: F32 = np.empty((0, dimension), dtype=np.float32)
        self.mean: F64 = np.zeros(dimension)
        self.pairs: Pairs | None = None
        self.shapes: Group | None = None
        self.scores = Group(SCORES)
        self.score_items = 0
        self.queries = 0
        self.points: deque[Point] = deque(maxlen=MOST_POINTS)
        self.alarms: deque[Alarm] = deque(maxlen=MOST_ALARMS)
        self.drifted = False
        self.window: list[F64] = []
        self._seen: OrderedDict[int, None] = OrderedDict()

    @property
    def state(self) -> DriftState:
        """What it does."""
        if self.drifted:
            return DriftState.DRIFTED
        watching = self.shapes is not None and self.shapes.is_watching
        return DriftState.WATCHING if watching else DriftState.LEARNING

    @property
    def learnt(self) -> int:
        """Queries of the reference so far, of `REFERENCE`."""
        return len(self.vectors) if self.shapes is None else self.shapes.learnt

    @property
    def groups(self) -> Sequence[Group]:
        """The measures of vectors, once there are any, and those of scores."""
        return [self.scores] if self.shapes is None else [self.shapes, self.scores]

    @property
    def names(self) -> Sequence[str]:
        """Names of all measures, that of the pairs first."""
        return [PAIRS, *(name for group in self.groups for name in group.names)]

    @property
    def threshold(self) -> float:
        """The evidence of one measure that raises the alarm: its share of the risk."""
        return self.mean_queries * len(self.names)

    @property
    def evidence(self) -> F64:
        """The evidence of each measure as a share of the threshold, float64 [J]."""
        paired = 0.0 if self.pairs is None else self.pairs.evidence
        values = np.concatenate([[paired], *(group.evidence.values for group in self.groups)])
        shares: F64 = values / self.threshold
        return shares

    def add(self, sample: Sample) -> Alarm | None:
        """Take in a query; return the alarm that it raises."""
        key = hash(sample.vector.tobytes())
        if key in self._seen:
            return None
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        self.queries += 1
        scores = np.array([sample.top_score, sample.tenth_score])
        if self.shapes is None or self.pairs is None:
            self._learn(sample.vector)
            self._add_scores(scores, sample.items)
            return None
        values = self._measure(sample.vector[None])[0]
        if self.drifted:
            self.shapes.note(values)
            self.scores.note(scores)
        else:
            if self.shapes.is_watching:
                self.pairs.add(sample.vector)
            else:
                self.pairs.put_by(sample.vector)
            self.shapes.add(values, self.random)
            self._add_scores(scores, sample.items)
        alarm = self._judge(sample.time_s)
        self._note(np.concatenate([values, scores]), sample.time_s, now=alarm is not None)
        return alarm

    def reset(self, *, keep_reference: bool) -> None:
        """End an alarm; learn a new reference, unless a whole one is to be kept."""
        self.drifted = False
        self.window = []
        self._seen.clear()
        if not keep_reference:
            self.vectors = self.vectors[:0]
            self.pairs, self.shapes = None, None
            self.points.clear()
        elif self.pairs is not None and self.shapes is not None and self.shapes.is_watching:
            self.shapes.again(self.random)
            self.pairs.again()
        if keep_reference and self.scores.is_watching:
            self.scores.again(self.random)
        else:
            self.scores, self.score_items = Group(SCORES), 0

    def _learn(self, vector: F32) -> None:
        self.vectors = np.concatenate([self.vectors, vector[None]])
        if len(self.vectors) < FITTED:
            return
        spread = Spread.of(self.vectors, DIRECTIONS)
        self.mean = self.vectors.mean(axis=0, dtype=np.float64)
        self.pairs = Pairs(spread, self.mean, len(self.vectors))
        self.shapes = Group(names_of(spread.directions))
        self.shapes.begin(self._measure(self.vectors))
        self.vectors = self.vectors[:0]

    def _measure(self, vectors: F32) -> F64:
        assert self.pairs is not None, "what is measured was learnt"
        return measure(vectors, self.mean, self.pairs.spread.directions)

    def _add_scores(self, scores: F64, items: int) -> None:
        if np.isnan(scores).all():
            return
        least, most = sorted((items, self.score_items))
        if most > _MOST_GROWTH * least:
            self.scores, self.score_items = Group(SCORES), items
        self.scores.add(scores, self.random)

    def _judge(self, time_s: float) -> Alarm | None:
        if self.drifted:
            return None
        over = np.flatnonzero(self.evidence >= 1.0)
        if not len(over):
            return None
        self.drifted = True
        watched = max(group.watched for group in self.groups)
        alarm = Alarm(time_s, watched, [self.names[place] for place in over.tolist()])
        self.alarms.append(alarm)
        return alarm

    def _note(self, values: F64, time_s: float, *, now: bool) -> None:
        """Add to the history; a point is made of a whole window, or `now`."""
        self.window.append(values)
        if len(self.window) < WINDOW and not now:
            return
        rows = np.stack(self.window)
        medians = [
            float(np.median(column[there])) if (there := np.isfinite(column)).any() else math.nan
            for column in rows.T
        ]
        self.points.append(Point(time_s, self.queries, float(self.evidence.max()), medians))
        self.window = []

    def to_arrays(self) -> Arrays:
        """Return what it learnt, by name; points, alarms and numbers are kept beside."""
        arrays: Arrays = {"vectors": self.vectors}
        if self.pairs is not None:
            arrays["mean"] = self.mean
            arrays |= {f"pairs.{key}": each for key, each in self.pairs.to_arrays().items()}
        for name, group in (("shapes", self.shapes), ("scores", self.scores)):
            if group is not None:
                arrays |= {f"{name}.{key}": each for key, each in group.to_arrays().items()}
        return arrays

    def take(self, arrays: Arrays) -> None:
        """Go on from what `to_arrays` returned.

        Raises:
            KeyError, ValueError: they are those of none.
        """
        self.vectors = shaped(arrays, "vectors", (-1, self.dimension), np.float32)
        if "mean" in arrays:
            self.mean = shaped(arrays, "mean", (self.dimension,), np.float64)
            self.pairs = Pairs.from_arrays(self.dimension, _of(arrays, "pairs."))
            names = names_of(self.pairs.spread.directions)
            self.shapes = Group.from_arrays(names, _of(arrays, "shapes."))
        self.scores = Group.from_arrays(SCORES, _of(arrays, "scores."))


def _of(arrays: Arrays, prefix: str) -> Arrays:
    return {
        name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)
    }
