"""Vectors as they travel: little-endian float32 bytes.

One bytes field costs about half of what `repeated float` does in Python's
protobuf, since it is copied rather than parsed number by number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lookalike.wire.errors import DimensionMismatch, InvalidField, VectorNotFinite

F32 = npt.NDArray[np.float32]

# Below this norm the direction of a float32 vector is rounding noise: squares
# of its components leave the range of normal float32 numbers (1.2e-38).
LEAST_NORM = 1e-18


def encode(vector: F32) -> bytes:
    """Return `vector`, float32 [D], as 4 * D little-endian bytes."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def decode(data: bytes, *, field: str, dimension: int | None = None) -> F32:
    """Return the float32 [D] view of `data`, unchecked for finite values.

    Raises:
        InvalidField: the length is zero or no multiple of four.
        DimensionMismatch: `dimension` is given and differs.
    """
    if not data or len(data) % 4:
        raise InvalidField(
            field, f"must be little-endian float32: 4 bytes a dimension, got {len(data)} bytes"
        )
    vector: F32 = np.frombuffer(data, dtype="<f4")
    if dimension is not None and vector.shape[0] != dimension:
        raise DimensionMismatch.between(field, got=vector.shape[0], want=dimension)
    return vector


def normalise(vector: F32, *, field: str) -> F32:
    """Return `vector`, float32 [D], scaled to unit L2 norm (a new array).

    A vector whose norm is already 1 within 1e-6 keeps its bytes, so that storing
    a unit vector is idempotent.

    Raises:
        VectorNotFinite: NaN, infinity, or no direction.
    """
    wide = vector.astype(np.float64)
    norm = float(np.sqrt(np.dot(wide, wide)))
    if not np.isfinite(norm):
        raise VectorNotFinite(field, "the vector holds NaN or infinity")
    if norm < LEAST_NORM:
        raise VectorNotFinite(field, "the vector is all zeros and has no direction")
    if abs(norm - 1.0) <= 1e-6:
        return vector.astype(np.float32, copy=True)
    return (wide / norm).astype(np.float32)
