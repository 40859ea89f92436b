"""Pairs of items that are near in the embedding, through the index."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from search_service.analysis.checkpoint import Arrays, Checkpoint
from search_service.analysis.duplicates.greys import Sketches
from search_service.analysis.gallery import Gallery
from search_service.analysis.jobs import AnalysisJob, Progress
from search_service.analysis.neighbours import Exact, Graphs, Nearest, open_segments
from search_service.domain.arrays import F32, I64, Flags

# Up to so many items all are compared with all: 20,000 of 512 components take 5 s on two
# cores, and a walk through a graph that mostly meets items left out by a filter finds little.
_EXACT_ITEMS = 20_000
_QUERIES_PER_PART = 512
# How many neighbours are asked for first, and by which factor more while those found last
# still reach the threshold.
_FIRST_COUNT, _GROWTH, _MOST_COUNT = 16, 4, 1_024
# Walks of 128 found 99.9 % of the pairs of 200,000 vectors with planted neighbours: each
# pair is found from either side.
_EXPANSION = 128
# Below the threshold, copies are looked for among so many nearest: those most like the item
# in vector and sketch, weighted so, of the items nearest by vector. Of 450 copies of every
# kind among 1,500 product photographs so are 436 within .5 of a threshold of .95; of the 8
# nearest by vector alone are 425, within .3 of it 421. What is missing are small grey crops.
BELOW_NEAREST = 8
# Pairs whose vectors are multiplied at a time: of 512 components 16 MiB.
_PAIRS_SCORED = 4_096
_BELOW_COUNT, _SKETCH_WEIGHT = 64, 0.5


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs of rows, int64 [P] each, `first` < `second`, no pair twice, with their cosines,
    float32 [P]. `cut` counts items with more neighbours than are asked for."""

    first: I64
    second: I64
    scores: F32
    cut: int = 0

    def others(self, pairs: tuple[I64, I64], vectors: F32) -> NearPairs:
        """Return those of some pairs that are not among these, with their cosines."""
        first, second = pairs
        known = np.isin(first * len(vectors) + second, self.first * len(vectors) + self.second)
        first, second = first[~known], second[~known]
        parts = [
            np.einsum(
                "pd,pd->p",
                vectors[first[start : start + _PAIRS_SCORED]],
                vectors[second[start : start + _PAIRS_SCORED]],
            )
            for start in range(0, len(first), _PAIRS_SCORED)
        ]
        scores: F32 = np.concatenate([np.empty(0, dtype=np.float32), *parts])
        return NearPairs(first, second, scores)


class Neighbourhoods:
    """Finds the near pairs of items."""

    def __init__(
        self, job: AnalysisJob, gallery: Gallery, sketches: Sketches | None, kept: Checkpoint
    ) -> None:
        """With `sketches`, pairs below the threshold are looked for too."""
        self._kept = kept
        self._gallery = gallery
        self._sketches = sketches
        self._threads = job.threads
        self._find: Callable[[F32, int], Nearest]
        if len(gallery) <= _EXACT_ITEMS:
            self._find = Exact(gallery).nearest
        else:
            graphs = Graphs(gallery, open_segments(job))
            self._find = lambda queries, count: graphs.nearest(
                queries, count, max(_EXPANSION, 2 * count)
            )

    def pairs_of(
        self, rows: I64, threshold: float, floor: float, report: Callable[[Progress], None]
    ) -> NearPairs:
        """Return the pairs that have one of `rows`, int64 [m].

        All that reach `threshold`, as far as the index finds them, and of each item's few
        most alike those that reach `floor`.
        """
        parts = [
            rows[start : start + _QUERIES_PER_PART]
            for start in range(0, len(rows), _QUERIES_PER_PART)
        ]
        found: list[tuple[I64, I64, F32]] = []
        cut = done = 0
        with ThreadPoolExecutor(self._threads, thread_name_prefix="neighbours") as pool:

            def near(part: I64) -> Arrays:
                return self._kept.done((part,), lambda: self._near(part, threshold, floor))

            for part, (one, other, scores, more) in zip(parts, pool.map(near, parts), strict=True):
                found.append((one, other, scores))
                cut += int(more)
                done += len(part)
                report(Progress("finding neighbours", done, len(rows)))
        return _unique(found, cut)

    def _near(self, rows: I64, threshold: float, floor: float) -> tuple[I64, I64, F32, I64]:
        """Return pairs, and how many rows have more that reach the threshold, int64 []."""
        found: list[tuple[I64, I64, F32]] = []
        count = _FIRST_COUNT if self._sketches is None else _BELOW_COUNT
        pending, cut = rows, 0
        while len(pending):
            nearest = self._find(self._gallery.vectors[pending], count)
            full = nearest.scores[:, -1] >= threshold
            if count >= min(_MOST_COUNT, len(self._gallery)):
                cut = int(full.sum()) if count < len(self._gallery) else 0
                full[:] = False
            found.append(self._wanted(pending, nearest, ~full, threshold, floor))
            pending = pending[full]
            count = min(count * _GROWTH, _MOST_COUNT)
        one, other = (np.concatenate([part[at] for part in found]) for at in (0, 1))
        return one, other, np.concatenate([part[2] for part in found]), np.array(cut)

    def _wanted(
        self, rows: I64, nearest: Nearest, settled: Flags, threshold: float, floor: float
    ) -> tuple[I64, I64, F32]:
        """Return the pairs of rows that have all their neighbours."""
        wanted = nearest.scores >= threshold
        if self._sketches is not None:
            wanted |= (nearest.scores >= floor) & self._most_alike(rows, nearest, self._sketches)
        wanted &= settled[:, None] & (nearest.rows >= 0) & (nearest.rows != rows[:, None])
        query, place = np.nonzero(wanted)
        return rows[query], nearest.rows[query, place], nearest.scores[query, place]

    def _most_alike(self, rows: I64, nearest: Nearest, sketches: Sketches) -> Flags:
        """Return which neighbours are among the few most alike, bool [B, k]."""
        few = BELOW_NEAREST + 1  # itself is one
        if nearest.rows.shape[1] <= few:
            return np.ones(nearest.rows.shape, dtype=np.bool_)
        alike = nearest.scores + _SKETCH_WEIGHT * sketches.likeness(rows, nearest.rows)
        least = np.partition(alike, -few, axis=1)[:, -few, None]
        most: Flags = alike >= least
        return most


def _unique(found: list[tuple[I64, I64, F32]], cut: int) -> NearPairs:
    if not found:
        none = np.empty(0, dtype=np.int64)
        return NearPairs(none, none, np.empty(0, dtype=np.float32))
    one, other = (np.concatenate([part[at] for part in found]) for at in (0, 1))
    scores = np.concatenate([part[2] for part in found])
    first, second = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((second, first))
    first, second, scores = first[order], second[order], scores[order]
    fresh = np.ones(len(first), dtype=np.bool_)
    fresh[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return NearPairs(first[fresh], second[fresh], scores[fresh], cut)
