"""Streams of made-up queries: vectors that fill a few directions, and scores."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from search_service.domain.arrays import F32, F64
from search_service.drift.monitor import Alarm, Monitor, Sample

DIMENSION = 24
_MIX = np.random.default_rng(1).normal(size=(DIMENSION, DIMENSION)) * np.exp(
    -np.arange(DIMENSION)[:, None] / 5
)
_CENTRE = np.random.default_rng(2).normal(size=DIMENSION)


class Stream:
    """Queries, all drawn alike; `shift` moves their vectors, `scores` their scores."""

    def __init__(self, seed: int, shift: F64 | float = 0.0, scores: float = 0.0) -> None:
        self._random = np.random.default_rng(seed)
        self._shift = shift
        self._scores = scores

    def __iter__(self) -> Iterator[Sample]:
        while True:
            yield self.sample()

    def sample(self, items: int = 1_000, tenth: bool = True) -> Sample:
        vector = self._random.normal(size=DIMENSION) @ _MIX + _CENTRE + self._shift
        top = self._random.beta(6, 2) - self._scores
        lower = top * self._random.beta(9, 2)
        unit: F32 = (vector / np.linalg.norm(vector)).astype(np.float32)
        return Sample(unit, float(top), float(lower) if tenth else math.nan, items, 0.0)


def watch(monitor: Monitor, stream: Stream, queries: int) -> tuple[int, Alarm] | None:
    """Feed queries until an alarm; return after how many, and the alarm."""
    for number in range(1, queries + 1):
        if (alarm := monitor.add(stream.sample())) is not None:
            return number, alarm
    return None
