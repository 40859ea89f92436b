"""Vectors as hard to index as embeddings of real photographs, made from a seed.

Each vector is z ∘ s, turned by a fixed random rotation and scaled to unit length:
s falls as i^-0.55, so that 256 of 512 principal components keep 92 % of the
variance, as in embeddings of real photographs (91 %); the z are skewed, |g|^1.6 of
normal g less its mean, as activations behind a rectifier are. The skew makes hubs:
some vectors are near to many and others near to none, and those are what a graph
fails to reach. Of 40,000 x 512, raw usearch (bf16, inner product, M=16, ef 128 at
build, 2 threads) misses 2.7 % by their own query at ef=64; of embeddings of real
photographs 2.5 %.

Any range can be made on its own: rows come in blocks, each with a generator of
its own, so a million vectors need no more memory than is asked for at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32

BLOCK_ROWS = 8_192
_POWER = 1.6
_SPECTRUM = -0.55
_QUERY_STREAM = 1
_ROW_STREAM = 0


@dataclass(frozen=True)
class HardVectors:
    """An endless sequence of unit vectors, float32 [*, dimension], the same for a seed."""

    dimension: int = 512
    seed: int = 0

    def rows(self, start: int, stop: int) -> F32:
        """Return the vectors `start` to `stop`, float32 [stop - start, dimension]."""
        return self._range(_ROW_STREAM, start, stop)

    def queries(self, count: int) -> F32:
        """Return vectors of the same kind that are not among the rows."""
        return self._range(_QUERY_STREAM, 0, count)

    def batches(self, count: int, batch: int = BLOCK_ROWS) -> Iterator[tuple[int, F32]]:
        """Yield (start, rows) until `count` rows are made."""
        for start in range(0, count, batch):
            yield start, self.rows(start, min(start + batch, count))

    def write_npy(self, path: Path, count: int) -> None:
        """Write the first `count` vectors to a `.npy` file in bounded memory."""
        shape = (count, self.dimension)
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        for start, rows in self.batches(count):
            out[start : start + len(rows)] = rows
        out.flush()

    @cached_property
    def _turned_spectrum(self) -> F32:
        rng = np.random.default_rng([self.seed, 2])
        rotation, _ = np.linalg.qr(rng.standard_normal((self.dimension, self.dimension)))
        spectrum = np.arange(1, self.dimension + 1) ** _SPECTRUM
        return np.ascontiguousarray(spectrum[:, None] * rotation, dtype=np.float32)

    def _range(self, stream: int, start: int, stop: int) -> F32:
        out = np.empty((stop - start, self.dimension), dtype=np.float32)
        for block in range(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS)):
            first = block * BLOCK_ROWS
            low, high = max(start, first), min(stop, first + BLOCK_ROWS)
            rows = self._block(stream, block)
            out[low - start : high - start] = rows[low - first : high - first]
        return out

    def _block(self, stream: int, block: int) -> F32:
        rng = np.random.default_rng([self.seed, stream, block])
        factors = np.abs(rng.standard_normal((BLOCK_ROWS, self.dimension), dtype=np.float32))
        skewed: F32 = factors ** np.float32(_POWER) - np.float32(_MEAN)
        rows: F32 = skewed @ self._turned_spectrum
        unit: F32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


# The mean of |g|^p for standard normal g: 2^(p/2) Γ((p + 1) / 2) / √π.
_MEAN = 2.0 ** (_POWER / 2) * math.gamma((_POWER + 1) / 2) / math.sqrt(math.pi)
