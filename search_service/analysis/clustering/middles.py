"""The middle of each cluster, and the items next to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from search_service.domain.arrays import F32, I64

_ROWS_AT_A_TIME = 8_192
EXAMPLES = 8


@dataclass(frozen=True, slots=True)
class Middles:
    """`cosines` is float32 [n], of each item to its cluster's middle, 0 for noise.

    `nearest` has for each cluster the rows next to its middle, at most `EXAMPLES` + 1; the
    first is the medoid: a mean cosine to unit vectors is the cosine to their sum, but for a
    factor.
    """

    cosines: F32
    nearest: Sequence[I64]


def find_middles(vectors: F32, labels: I64, count: int) -> Middles:
    """Find the middles of `count` clusters of float32 [n, D], unit L2; labels int64 [n]."""
    sums = np.zeros((count, vectors.shape[1]))
    for part in _parts(len(vectors)):
        places = np.flatnonzero(labels[part] >= 0)
        shape = (count, len(labels[part]))
        ones = np.ones(len(places), dtype=np.float32)
        belongs = csr_array((ones, (labels[part][places], places)), shape=shape)
        sums += belongs @ vectors[part]
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    middles = (sums / np.maximum(lengths, 1e-12)).astype(np.float32)
    cosines = np.zeros(len(vectors), dtype=np.float32)
    for part in _parts(len(vectors)):
        own = middles[np.maximum(labels[part], 0)]
        cosines[part] = np.where(labels[part] >= 0, np.einsum("nd,nd->n", vectors[part], own), 0.0)
    order = np.lexsort((-cosines, labels))
    starts = np.searchsorted(labels[order], np.arange(count + 1))
    nearest = [
        order[start : min(end, start + EXAMPLES + 1)] for start, end in pairwise(starts.tolist())
    ]
    return Middles(cosines, nearest)


def _parts(count: int) -> list[slice]:
    return [slice(at, at + _ROWS_AT_A_TIME) for at in range(0, count, _ROWS_AT_A_TIME)]
