"""Many vectors at once: bytes fields to one unit matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookalike.wire.vectors import F32, LEAST_NORM, decode, normalise


def unit_matrix(chunks: Sequence[bytes], dimension: int) -> F32 | None:
    """Return `chunks` as float32 [len(chunks), dimension], each row unit L2.

    None when one of them is no vector: `unit_vector` then says which and why.
    One pass over a batch costs a twentieth of one call for each vector. Rows
    within 1e-6 of unit norm keep their bytes, as in `lookalike.wire.vectors`.
    """
    size = 4 * dimension
    if any(len(chunk) != size for chunk in chunks):
        return None
    # A bytearray, so that the matrix is writable as callers of numpy expect.
    matrix: F32 = np.frombuffer(bytearray(b"".join(chunks)), dtype="<f4").reshape(-1, dimension)
    wide = matrix.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    if not np.isfinite(norms).all() or norms.min() < LEAST_NORM:
        return None
    off = np.abs(norms - 1.0) > 1e-6
    if not off.any():
        return matrix
    matrix[off] = wide[off] / norms[off, None]
    return matrix


def unit_vector(data: bytes, dimension: int, field: str) -> F32:
    """Return one vector, float32 [dimension], unit L2.

    Raises:
        InvalidField: see `lookalike.wire.vectors.decode` and `normalise`.
    """
    return normalise(decode(data, field=field, dimension=dimension), field=field)
