"""Rows of vectors as they come from the store, held to what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from search_service.domain.arrays import F32, I64
from search_service.store.damage import RowDamaged

# Vectors are stored with a norm within 1e-6 of 1; a sum of 16,384 squares in float32 is
# off by less than 1e-4.
_NORM_SLACK = 1e-2


def checked_rows(rows: Sequence[tuple[int, bytes]], after: int = -1) -> tuple[I64, F32]:
    """Return (ordinals, vectors) of rows by ascending ordinal past `after`: int64 [n],
    float32 [n, D], unit L2.

    Raises:
        RowDamaged: they are not what was written.
    """
    ordinals = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
    if len({len(row[1]) for row in rows}) > 1 or any(len(row[1]) % 4 for row in rows[:1]):
        raise RowDamaged("vectors of the store differ in length")
    data: F32 = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4")
    vectors = data.reshape(len(rows), -1) if rows else data.reshape(0, 0)
    if len(rows) and (ordinals[0] <= after or (np.diff(ordinals) <= 0).any()):
        raise RowDamaged("vectors of the store are out of order")
    if not are_unit(vectors):
        raise RowDamaged("a vector of the store is not what was written")
    return ordinals, vectors


def intact_rows(rows: Sequence[tuple[int, bytes]], after: int, upto: int) -> tuple[I64, F32]:
    """Return what `checked_rows` does of those rows that are what was written, once each."""
    length = Counter(len(row[1]) for row in rows).most_common(1)[0][0] if rows else 0
    kept: dict[int, bytes] = {}
    for ordinal, data in rows:
        if after < ordinal <= upto and len(data) == length and ordinal not in kept:
            vector: F32 = np.frombuffer(data, dtype="<f4").reshape(1, -1)
            if are_unit(vector):
                kept[ordinal] = data
    return checked_rows(sorted(kept.items()), after)


def are_unit(vectors: F32) -> bool:
    """Say whether each row of float32 [n, D] has about unit length."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    return bool((np.abs(squares - 1) <= _NORM_SLACK).all())  # False for NaN
