"""Pairs of items of which one may be the other turned or mirrored, by sketches of both.

Every item is compared with every other in all eight ways, so that the time grows with the
square of their number: a vector says little of a picture that is turned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from search_service.analysis.checkpoint import Arrays, Checkpoint
from search_service.analysis.duplicates.greys import decoded
from search_service.analysis.duplicates.resampling import reduced
from search_service.analysis.duplicates.turns import WAYS, turned_waves
from search_service.analysis.jobs import Progress
from search_service.domain.arrays import F32, I64

# Of each item so many are compared in full: those whose sketches are most alike. Among 1,500
# product photographs so are 92 % of 450 turned copies of every kind, with 16 94 %; of 150
# copies of photographs all. Copies that are missed are small crops.
TURNED_NEAREST = 8
# Sketches that are less alike are not of one picture: it costs no copy of those, and among
# photographs leaves 6 pairs an item of 150.
_LEAST_ALIKE = 0.6
# A frame, or what a crop takes away, is beside the inner part: a sketch of the whole of one
# picture and one of that part of the other are alike. Without it 84 % are among the 8.
_MARGIN_PX = 4
_SIDE = 8
# As of the sketches of pictures that are not turned.
_LEAST_NORM = 8.0
_PICTURES_AT_ONCE = 512
# Rows and columns of scores that are made at a time: 128 KiB, which is a third faster than
# 512 KiB.
_ROWS_AT_ONCE, _COLUMNS_AT_ONCE = 128, 256
_ROWS_PER_PART = 512
# Marks what is kept of this among what else is kept of rows.
_NAME = np.array([8], dtype=np.int8)


@dataclass(frozen=True, slots=True)
class _Scores:
    """How alike sketches are, float32 [B, m] each: as they are, and turned in the best way."""

    upright: F32
    turned: F32

    def best_of(self, other: _Scores) -> _Scores:
        return _Scores(
            np.maximum(self.upright, other.upright), np.maximum(self.turned, other.turned)
        )


class TurnedSketches:
    """Sketches of the pictures of a gallery: of the whole, and of the inner part."""

    def __init__(
        self,
        greys: Sequence[bytes],
        threads: int,
        kept: Checkpoint,
        report: Callable[[Progress], None],
    ) -> None:
        """Make them of small grey WebP pictures; those of empty ones are like no other."""
        self._threads = threads
        self._kept = kept
        shape = (len(greys), _SIDE, _SIDE)
        self._whole, self._inner = (np.zeros(shape, dtype=np.float32) for _ in range(2))
        starts = range(0, len(greys), _PICTURES_AT_ONCE)
        with ThreadPoolExecutor(threads, thread_name_prefix="sketch") as pool:
            parts = pool.map(lambda start: _made(greys[start : start + _PICTURES_AT_ONCE]), starts)
            for start, (whole, inner) in zip(starts, parts, strict=True):
                self._whole[start : start + len(whole)] = whole
                self._inner[start : start + len(inner)] = inner
                report(Progress("reading pictures", start + len(whole), len(greys)))

    def pairs_of(self, rows: I64, report: Callable[[Progress], None]) -> tuple[I64, I64]:
        """Return pairs `first` < `second`, int64 [P] each, that have one of `rows`; none twice."""
        parts = [
            rows[start : start + _ROWS_PER_PART] for start in range(0, len(rows), _ROWS_PER_PART)
        ]
        pairs = [np.empty((0, 2), dtype=np.int64)]
        done = 0

        def near(part: I64) -> Arrays:
            return self._kept.done((part, _NAME), lambda: (self._near(part),))

        with ThreadPoolExecutor(self._threads, thread_name_prefix="turned") as pool:
            for part, (found,) in zip(parts, pool.map(near, parts), strict=True):
                pairs.append(found)
                done += len(part)
                report(Progress("looking for turned pictures", done, len(rows)))
        unique = np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)
        return unique[:, 0], unique[:, 1]

    def ways(self, first: I64, second: I64) -> I64:
        """Return how the first of each pair is to be turned to be like the second, int64 [P].

        0 where it is more like it as it is, or hardly like it in any way.
        """
        found = np.zeros(len(first), dtype=np.int64)
        for start in range(0, len(first), _PICTURES_AT_ONCE):
            part = slice(start, start + _PICTURES_AT_ONCE)
            one, other = first[part], second[part]
            sides = (
                (self._whole[one], self._whole[other]),
                (self._whole[one], self._inner[other]),
                (self._inner[one], self._whole[other]),
            )
            alike = np.stack(
                [
                    np.max([_products(turned_waves(a, way), b) for a, b in sides], axis=0)
                    for way in range(WAYS)
                ]
            )
            best = alike.argmax(axis=0)
            found[part] = np.where(alike.max(axis=0) >= _LEAST_ALIKE, best, 0)
        return found

    def _near(self, rows: I64) -> I64:
        """Return pairs of rows, [P, 2], of those that are most alike when turned."""
        found = [
            self._nearest(rows[start : start + _ROWS_AT_ONCE])
            for start in range(0, len(rows), _ROWS_AT_ONCE)
        ]
        return np.concatenate(found)

    def _nearest(self, rows: I64) -> I64:
        places = np.empty(0, dtype=np.int64)
        columns = np.empty(0, dtype=np.int64)
        alike = np.empty(0, dtype=np.float32)
        least = np.full(len(rows), _LEAST_ALIKE, dtype=np.float32)
        for start, scores in self._scored(rows):
            wanted = (scores.turned >= least[:, None]) & (scores.turned > scores.upright)
            at = np.flatnonzero(wanted)  # np.nonzero takes as long as a third of the scores
            if not len(at):
                continue
            place, column = np.divmod(at, wanted.shape[1])
            places = np.concatenate([places, place])
            alike = np.concatenate([alike, scores.turned[place, column]])
            columns = np.concatenate([columns, column + start])
            keep = _first_of_each(places, alike, len(rows))
            places, columns, alike = places[keep], columns[keep], alike[keep]
            full = np.bincount(places, minlength=len(rows)) >= TURNED_NEAREST
            last = np.full(len(rows), np.inf, dtype=np.float32)
            np.minimum.at(last, places, alike)
            least[full] = last[full]
        other = columns != rows[places]
        return np.stack([rows[places[other]], columns[other]], axis=1)

    def _scored(self, rows: I64) -> Iterator[tuple[int, _Scores]]:
        """Yield the first column and the scores of rows with some columns after another."""
        whole, inner = _Halves(self._whole[rows]), _Halves(self._inner[rows])
        for start in range(0, len(self._whole), _COLUMNS_AT_ONCE):
            columns = slice(start, start + _COLUMNS_AT_ONCE)
            of_whole = _quarters(self._whole[columns])
            scores = whole.with_(of_whole)
            scores = scores.best_of(whole.with_(_quarters(self._inner[columns])))
            yield start, scores.best_of(inner.with_(of_whole))


class _Halves:
    """Waves of some pictures as they are, and of them mirrored at their diagonal.

    Waves that are even or odd along each axis are multiplied by themselves: each of the
    eight ways is a sum of those products, with signs.
    """

    def __init__(self, waves: F32) -> None:
        self._straight = _quarters(waves)
        self._across = _quarters(waves.swapaxes(1, 2))

    def with_(self, columns: Sequence[F32]) -> _Scores:
        """Return how alike they are to others, given by their `_quarters`."""
        both, once, apart, aslant = self._summed(self._straight, columns)
        upright = both + once
        turned = both - once
        np.maximum(turned, apart + np.abs(aslant), out=turned)
        both, once, apart, aslant = self._summed(self._across, columns)
        np.maximum(turned, both + np.abs(once), out=turned)
        np.maximum(turned, apart + np.abs(aslant), out=turned)
        return _Scores(upright, turned)

    @staticmethod
    def _summed(rows: Sequence[F32], columns: Sequence[F32]) -> tuple[F32, F32, F32, F32]:
        even, across, down, odd = (
            row @ column.T for row, column in zip(rows, columns, strict=True)
        )
        return even + odd, across + down, even - odd, across - down


def _quarters(waves: F32) -> list[F32]:
    """Return float32 [n, 16] four times: waves even, odd across, odd down, odd in both."""
    return [
        np.ascontiguousarray(waves[:, down::2, across::2]).reshape(len(waves), -1)
        for down in (0, 1)
        for across in (0, 1)
    ]


def _first_of_each(places: I64, alike: F32, count: int) -> I64:
    """Return the places in the arrays of the few greatest of each place below `count`."""
    order = np.lexsort((-alike, places))
    starts = np.searchsorted(places[order], np.arange(count))
    rank = np.arange(len(order)) - starts[places[order]]
    few: I64 = order[rank < TURNED_NEAREST + 1]  # itself may be one
    return few


def _products(one: F32, other: F32) -> F32:
    products: F32 = np.einsum("pvu,pvu->p", one, other)
    return products


def _made(greys: Sequence[bytes]) -> tuple[F32, F32]:
    pictures = np.stack([decoded(each) for each in greys]).astype(np.float32)
    inner = pictures[:, _MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]
    return _waves(pictures), _waves(inner)


def _waves(pictures: F32) -> F32:
    """Return the discrete cosine transforms of sketches, brightness and contrast aside."""
    small = reduced(np.ascontiguousarray(pictures), pictures.shape[1] // _SIDE)
    small -= small.mean(axis=(1, 2), keepdims=True)
    norms = np.linalg.norm(small, axis=(1, 2), keepdims=True)
    even = np.where(norms < _LEAST_NORM, 0.0, small / np.maximum(norms, 1.0))
    basis = _cosines()
    waves: F32 = (basis @ even.astype(np.float32) @ basis.T).astype(np.float32, copy=False)
    return waves


def _cosines() -> F32:
    """Return the orthonormal basis of the discrete cosine transform, float32 [8, 8]."""
    waves, places = np.arange(_SIDE)[:, None], np.arange(_SIDE)[None, :]
    basis = np.cos(np.pi * waves * (2 * places + 1) / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    basis[0] /= np.sqrt(2)
    cosines: F32 = basis.astype(np.float32)
    return cosines
