"""The order in which rows are inserted: those that are alike after one another.

An insertion compares nodes all over the memory; the next one finds them in the cache
if it is of a row that is alike: usearch inserts more of them a second, at the same
recall (`python -m tests.bench.search.order` prints both). A node's number says where
it stands in memory and in files, so searches too read what lies close.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from search_service.domain.arrays import F32, I64

# Rows arranged at a time: enough for some hundreds in each cell.
WINDOW_ROWS = 65_536
_WINDOW_BYTES = 128 << 20
_CELLS = 128
_ROUNDS = 2
_SAMPLE_ROWS = 16_384
_ROWS_A_PRODUCT = 8_192
# A graph's first rows stay as they come, from all over: what is inserted later is
# linked to what is there.
FIRST_ROWS = 8_192
_SEED = 4_711


def arranged(
    batches: Iterable[tuple[I64, F32]], *, started: bool, batch_rows: int
) -> Iterator[tuple[I64, F32]]:
    """Yield the pairs of all batches, int64 [n] and float32 [n, D], `batch_rows` at a time.

    With `started` a graph has nodes before them. Up to 256 MiB are held.
    """
    source = iter(batches)
    if not started:
        done = 0
        for ordinals, vectors in source:
            yield ordinals, vectors
            done += len(ordinals)
            if done >= FIRST_ROWS:
                break
    cells: F32 | None = None
    for ordinals, vectors in _windows(source):
        if cells is None:
            cells = _cells(vectors)
        order = np.argsort(_nearest(vectors, cells), kind="stable")
        for start in range(0, len(order), batch_rows):
            some = order[start : start + batch_rows]
            yield ordinals[some], vectors[some]


def _windows(batches: Iterator[tuple[I64, F32]]) -> Iterator[tuple[I64, F32]]:
    for first in batches:
        row_bytes = first[1].itemsize * first[1].shape[1]
        most = min(WINDOW_ROWS, max(len(first[0]), _WINDOW_BYTES // row_bytes))
        window, rows = [first], len(first[0])
        while rows < most and (following := next(batches, None)) is not None:
            window.append(following)
            rows += len(following[0])
        yield (
            np.concatenate([ordinals for ordinals, _ in window]),
            np.concatenate([vectors for _, vectors in window]),
        )


def _cells(vectors: F32) -> F32:
    """Return centres of cells, float32 [C, D], each near the one before it.

    Some rounds of k-means over a sample: that the cells are good matters less than
    that there are many.
    """
    rng = np.random.default_rng(_SEED)
    sample = vectors[rng.permutation(len(vectors))[:_SAMPLE_ROWS]]
    centres = sample[:_CELLS].copy()
    for _ in range(_ROUNDS):
        cell = _nearest(sample, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, cell, sample)
        counts = np.bincount(cell, minlength=len(centres)).astype(np.float32)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
    return centres[_tour(centres)]


def _tour(centres: F32) -> I64:
    """Order centres, always going on to the nearest that is left."""
    left = np.ones(len(centres), dtype=np.bool_)
    tour = [0]
    while len(tour) < len(centres):
        left[tour[-1]] = False
        apart = np.square(centres - centres[tour[-1]]).sum(axis=1)
        tour.append(int(np.where(left, apart, np.inf).argmin()))
    return np.array(tour, dtype=np.int64)


def _nearest(vectors: F32, centres: F32) -> I64:
    """Return the number of the centre nearest to each of the vectors, int64 [n]."""
    half_squares = np.square(centres).sum(axis=1) / 2
    starts = range(0, len(vectors), _ROWS_A_PRODUCT)
    found = [
        (half_squares - vectors[start : start + _ROWS_A_PRODUCT] @ centres.T).argmin(axis=1)
        for start in starts
    ]
    return np.concatenate(found)
