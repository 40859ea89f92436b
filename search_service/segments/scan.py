"""Exact search over rows, block by block."""

from __future__ import annotations

import numpy as np

from lookalike.wire.vectors import F32
from search_service.segments.rows import I64

# Rows compared at a time: 16 MiB of 512-dimensional rows, so that the scores of
# a batch of 64 queries (2 MiB) stay in cache until the best are picked.
ROWS_PER_STEP = 8_192


def best_rows(rows: F32, queries: F32, count: int) -> tuple[I64, F32]:
    """Return the `count` rows with the largest inner products, in no order.

    `rows` is float32 [N, D], `queries` float32 [B, D]. Both results are
    [B, min(count, N)]: int64 row numbers and float32 scores. NumPy's BLAS uses
    the cores it is set to and releases the GIL.
    """
    kept = np.empty((len(queries), 0), dtype=np.int64)
    kept_scores = np.empty((len(queries), 0), dtype=np.float32)
    for start in range(0, len(rows), ROWS_PER_STEP):
        scores = queries @ rows[start : start + ROWS_PER_STEP].T
        nodes, best = _best_columns(scores, count)
        kept = np.concatenate([kept, nodes + start], axis=1)
        kept_scores = np.concatenate([kept_scores, best], axis=1)
        places, kept_scores = _best_columns(kept_scores, count)
        kept = np.take_along_axis(kept, places, axis=1)
    return kept, kept_scores


def _best_columns(scores: F32, count: int) -> tuple[I64, F32]:
    if scores.shape[1] <= count:
        every = np.arange(scores.shape[1], dtype=np.int64)
        return np.broadcast_to(every, scores.shape), scores
    places = np.argpartition(scores, -count, axis=1)[:, -count:]
    return places, np.take_along_axis(scores, places, axis=1)
