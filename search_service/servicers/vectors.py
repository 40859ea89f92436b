"""Many vectors at once: bytes fields to one unit matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lookalike.wire.vectors import LEAST_NORM, decode, normalise
from search_service.domain.arrays import F32

# As in `lookalike.wire.vectors.normalise`: what is this near to 1 is a unit norm.
_UNIT = 1e-6


def unit_matrix(chunks: Sequence[bytes], dimension: int) -> F32 | None:
    """Return `chunks` as float32 [len(chunks), dimension], each row unit L2.

    None when one of them is no vector: `unit_vector` then says which and why.
    Rows within 1e-6 of unit norm keep their bytes, as in `lookalike.wire.vectors`.
    """
    size = 4 * dimension
    if any(len(chunk) != size for chunk in chunks):
        return None
    if len(chunks) == 1:
        return _unit_row(chunks[0])
    # A bytearray, so that the matrix is writable as callers of numpy expect.
    matrix: F32 = np.frombuffer(bytearray(b"".join(chunks)), dtype="<f4").reshape(-1, dimension)
    # In float64, block by block: a wide copy of a batch would cost more than the sum.
    squares = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
    # The extremes tell of all rows; NaN is in both. Plain floats are quicker here.
    least, most = math.sqrt(squares.min()), math.sqrt(squares.max())
    if not (least >= LEAST_NORM and most < math.inf):
        return None
    if abs(least - 1.0) <= _UNIT and abs(most - 1.0) <= _UNIT:
        return matrix
    norms = np.sqrt(squares)
    norms[np.abs(norms - 1.0) <= _UNIT] = 1.0  # dividing by it keeps the bytes
    np.divide(matrix, norms[:, None], out=matrix, dtype=np.float64, casting="same_kind")
    return matrix


def _unit_row(chunk: bytes) -> F32 | None:
    """As `unit_matrix` of one; a lone query need not pay for what many share."""
    row: F32 = np.frombuffer(bytearray(chunk), dtype="<f4")
    wide = row.astype(np.float64)
    norm = math.sqrt(wide @ wide)
    if not LEAST_NORM <= norm < math.inf:
        return None
    if abs(norm - 1.0) > _UNIT:
        row = (wide / norm).astype(np.float32)
    return row[np.newaxis]


def unit_vector(data: bytes, dimension: int, field: str) -> F32:
    """Return one vector, float32 [dimension], unit L2.

    Raises:
        InvalidField: see `lookalike.wire.vectors.decode` and `normalise`.
    """
    return normalise(decode(data, field=field, dimension=dimension), field=field)
