"""What is measured of a query's vector: numbers whose distribution a change would move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.domain.arrays import F32, F64

# What is left beside so many directions in which the queries differ most: vectors of
# another model lie beside the space that the queries fill.
_SPACES = (16, 64)
DIRECTIONS = max(_SPACES)


def measure(vectors: F32, mean: F64, directions: F32) -> F64:
    """Return the measures of vectors, float32 [n, D], as float64 [n, J].

    `mean` float64 [D] and `directions` float32 [P, D] are those of the reference.
    """
    centred = vectors - mean
    along = (centred @ directions.T) ** 2
    length = np.einsum("nd,nd->n", centred, centred)
    beside = [
        np.sqrt(np.maximum(length - along[:, :space].sum(axis=1), 0.0))
        for space in _spaces(*directions.shape)
    ]
    columns: F64 = np.stack([vectors @ mean / (np.linalg.norm(mean) or 1.0), *beside], axis=1)
    return columns


def names_of(directions: F32) -> Sequence[str]:
    """Return the names of the measures, with such directions."""
    beside = (f"beside_{space}_directions" for space in _spaces(*directions.shape))
    return ["cosine_to_mean", *beside]


def _spaces(directions: int, dimension: int) -> list[int]:
    # Where the directions fill the whole space, nothing lies beside them.
    return [space for space in _SPACES if space <= directions and space < dimension]
