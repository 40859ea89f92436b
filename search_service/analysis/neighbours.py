"""The nearest items of items: exactly, or through the collection's graphs.

The segments are opened as they are on the disk. What no graph covers is compared
exactly, as is everything of a gallery that is small.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from search_service.analysis.gallery import Gallery
from search_service.analysis.jobs import AnalysisJob
from search_service.domain.arrays import F32, I64
from search_service.segments.current import read_current
from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import Identity
from search_service.segments.segment import Segment

_log = logging.getLogger(__name__)

# A build may replace the segments while they are opened; it lasts far longer than that.
_OPEN_ATTEMPTS = 5
# Scores held at a time: 32 MiB.
_SCORES_PER_BLOCK = 8 << 20
_QUERIES_PER_WALK = 256
# Vectors beside the graphs that are held, or read, together: of 512 components 64 MiB.
_REST_PER_BLOCK = 32_768


@dataclass(frozen=True, slots=True)
class Nearest:
    """Rows of a gallery, int64 [B, k], best first, padded with -1; scores float32 [B, k],
    exact cosines, -inf where there is no row."""

    rows: I64
    scores: F32


def open_segments(job: AnalysisJob) -> list[Segment]:
    """Open the collection's graphs; one that is damaged is left out, with a warning."""
    identity = Identity(job.uid, job.dimension, job.fingerprint)
    whole: list[Segment] = []
    damaged: list[SegmentDamaged] = []
    for _ in range(_OPEN_ATTEMPTS):
        whole, damaged = [], []
        try:
            for name in read_current(job.segments_path):
                try:
                    whole.append(Segment.open(job.segments_path / name, identity))
                except SegmentDamaged as error:  # or a build has replaced it
                    damaged.append(error)
        except SegmentDamaged as error:
            damaged.append(error)
        if not damaged:
            break
    for each in damaged:
        _log.warning("a graph is passed over: %s", each)
    return [segment for segment in whole if segment.has_graph]


class Exact:
    """Compares queries with every item of a gallery."""

    def __init__(self, gallery: Gallery) -> None:
        self._vectors = gallery.vectors

    def scores(self, queries: F32) -> Iterator[tuple[slice, F32]]:
        """Yield which of `queries`, float32 [B, D], and their scores, float32 [b, n]."""
        step = max(1, _SCORES_PER_BLOCK // max(1, len(self._vectors)))
        for start in range(0, len(queries), step):
            part = slice(start, min(start + step, len(queries)))
            yield part, queries[part] @ self._vectors.T

    def nearest(self, queries: F32, count: int) -> Nearest:
        """Return the `count` best of all."""
        count = min(count, len(self._vectors))
        rows = np.empty((len(queries), count), dtype=np.int64)
        scores = np.empty((len(queries), count), dtype=np.float32)
        for part, all_scores in self.scores(queries):
            rows[part], scores[part] = _best(all_scores, count)
        return Nearest(rows, scores)


@dataclass(frozen=True, slots=True)
class _Cover:
    """What is walked through, and `rest`, int64 [m]: the rows that no graph covers.

    `rest_vectors` is float32 [m, D], or None where they are too many to be held.
    """

    segments: tuple[Segment, ...]
    rest: I64
    rest_vectors: F32 | None


class Graphs:
    """Walks through a collection's graphs, and compares exactly what they do not cover.

    A graph whose damage a walk meets is left out from then on. May be used by several
    threads.
    """

    def __init__(self, gallery: Gallery, segments: list[Segment]) -> None:
        self._gallery = gallery
        self._lock = threading.Lock()
        self._cover = self._covering(tuple(segments))
        self.covered = len(gallery) - len(self._cover.rest)

    def _covering(self, segments: tuple[Segment, ...]) -> _Cover:
        covered = np.zeros(len(self._gallery), dtype=np.bool_)
        for segment in segments:
            rows = self._gallery.rows_of(np.asarray(segment.ordinals))
            covered[rows[rows >= 0]] = True
        rest = np.flatnonzero(~covered)
        held = len(rest) <= _REST_PER_BLOCK
        return _Cover(segments, rest, self._gallery.vectors[rest] if held else None)

    def _leave_out(self, damaged: Segment) -> None:
        with self._lock:
            kept = tuple(each for each in self._cover.segments if each is not damaged)
            if len(kept) < len(self._cover.segments):  # no other thread was quicker
                self._cover = self._covering(kept)

    def nearest(self, queries: F32, count: int, expansion: int) -> Nearest:
        """Return about the `count` best, scored exactly; `expansion` is that of the walks."""
        width = min(count, len(self._gallery))
        rows = np.empty((len(queries), width), dtype=np.int64)
        scores = np.empty((len(queries), width), dtype=np.float32)
        for start in range(0, len(queries), _QUERIES_PER_WALK):
            part = slice(start, min(start + _QUERIES_PER_WALK, len(queries)))
            found = self._found(queries[part], count, expansion)
            rows[part], scores[part] = self._ranked(queries[part], found, width)
        return Nearest(rows, scores)

    def in_compact_order(self, queries: F32, count: int, expansion: int) -> I64:
        """Return int64 [B, `count`] rows in the order in which one graph has them.

        What a search would give that does not rank again by exact scores. Meant for a
        collection of one graph; of several, the best of each stand one after another.
        """
        parts = self._walked(self._cover, queries, count, expansion)
        while parts is None:
            parts = self._walked(self._cover, queries, count, expansion)
        none = np.empty((len(queries), 0), dtype=np.int64)
        return _left_packed(np.concatenate([none, *(part[:, :count] for part in parts)], 1), count)

    def _found(self, queries: F32, count: int, expansion: int) -> I64:
        while True:
            cover = self._cover
            parts = self._walked(cover, queries, count, expansion)
            if parts is not None:
                return np.concatenate([*parts, self._best_of_rest(cover, queries, count)], axis=1)

    def _best_of_rest(self, cover: _Cover, queries: F32, count: int) -> I64:
        """Return some rows that no graph covers, int64 [B, m]: the best among them."""
        if cover.rest_vectors is not None:
            best, _ = _best(queries @ cover.rest_vectors.T, count)
            return cover.rest[best]
        parts = []
        for start in range(0, len(cover.rest), _REST_PER_BLOCK):
            rows = cover.rest[start : start + _REST_PER_BLOCK]
            best, _ = _best(queries @ self._gallery.vectors[rows].T, count)
            parts.append(rows[best])
        return np.concatenate(parts, axis=1)

    def _walked(self, cover: _Cover, queries: F32, count: int, expansion: int) -> list[I64] | None:
        """Return what each graph has; None where one is damaged, which is left out now."""
        parts = []
        for segment in cover.segments:
            try:
                parts.append(self._rows_of_segment(segment, queries, count, expansion))
            except SegmentDamaged as error:
                _log.warning("a graph is left out from here on: %s", error)
                self._leave_out(segment)
                return None
        return parts

    def _rows_of_segment(self, segment: Segment, queries: F32, count: int, expansion: int) -> I64:
        nodes = segment.candidates(queries, count, max(expansion, count))
        # Equal vectors share a node: as many of its items as are asked for.
        offsets, ordinals = segment.offsets, segment.ordinals
        shared = int(np.max(np.diff(offsets), initial=1))
        if shared == 1:
            return np.where(nodes < 0, -1, self._gallery.rows_of(ordinals[offsets[nodes]]))
        columns = []
        for place in range(min(shared, count)):
            at = offsets[nodes] + place
            there = (nodes >= 0) & (at < offsets[nodes + 1])
            rows = self._gallery.rows_of(ordinals[np.where(there, at, 0)])
            columns.append(np.where(there, rows, -1))
        return np.stack(columns, axis=2).reshape(len(nodes), -1)

    def _ranked(self, queries: F32, found: I64, count: int) -> tuple[I64, F32]:
        """Score what was found, no row twice, and return the `count` best."""
        found = np.sort(found, axis=1)
        twice = np.zeros(found.shape, dtype=np.bool_)
        twice[:, 1:] = found[:, 1:] == found[:, :-1]
        scores = np.einsum("bd,bcd->bc", queries, self._gallery.vectors[found])
        scores[twice | (found < 0)] = -np.inf
        width = min(count, found.shape[1])
        places, best = _best(scores, width)
        rows = np.full((len(queries), count), -1, dtype=np.int64)
        padded = np.full((len(queries), count), -np.inf, dtype=np.float32)
        rows[:, :width] = np.where(np.isfinite(best), np.take_along_axis(found, places, 1), -1)
        padded[:, :width] = best
        return rows, padded


def _best(scores: F32, count: int) -> tuple[I64, F32]:
    """Return the places of the `count` greatest of each row, greatest first; ties by place."""
    count = min(count, scores.shape[1])
    places = np.arange(scores.shape[1])[None, :].repeat(len(scores), 0)
    if count < scores.shape[1]:
        places = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    some = np.take_along_axis(scores, places, 1)
    order = np.lexsort((places, -some), axis=1)
    return np.take_along_axis(places, order, 1), np.take_along_axis(some, order, 1)


def _left_packed(rows: I64, count: int) -> I64:
    """Return the first `count` of each row that are not -1, in their order."""
    order = np.argsort(rows < 0, axis=1, kind="stable")
    packed = np.take_along_axis(rows, order, 1)[:, :count]
    return np.pad(packed, ((0, 0), (0, count - packed.shape[1])), constant_values=-1)
