"""Runtimes around runtimes: files that fix their batch, and vectors made shorter."""

from __future__ import annotations

import numpy as np

from embedder_service.preprocess import U8
from embedder_service.runtimes.protocol import Runtime
from lookalike.wire.projection import Projection
from lookalike.wire.vectors import F32


class FixedBatchRuntime:
    """Gives a network batches of the one size that it takes, the last one filled up."""

    def __init__(self, runtime: Runtime, batch: int) -> None:
        self._runtime = runtime
        self._batch = batch

    @property
    def name(self) -> str:
        """The runtime, as metrics and logs name it."""
        return self._runtime.name

    @property
    def slots(self) -> int:
        """How many batches can run beside one another."""
        return self._runtime.slots

    def infer(self, pixels: U8, slot: int | None = None) -> F32:
        """Return float32 [B, D] for uint8 [B, S, S, 3]."""
        parts = []
        for first in range(0, len(pixels), self._batch):
            part = pixels[first : first + self._batch]
            missing = self._batch - len(part)
            if missing:
                part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            vectors = self._runtime.infer(part, slot)
            parts.append(vectors[: self._batch - missing])
        return np.concatenate(parts)


class ProjectedRuntime:
    """Applies a projection to what a network gives."""

    def __init__(self, runtime: Runtime, projection: Projection) -> None:
        self._runtime = runtime
        self._projection = projection

    @property
    def name(self) -> str:
        """The runtime, as metrics and logs name it."""
        return self._runtime.name

    @property
    def slots(self) -> int:
        """How many batches can run beside one another."""
        return self._runtime.slots

    def infer(self, pixels: U8, slot: int | None = None) -> F32:
        """Return float32 [B, K] for uint8 [B, S, S, 3]."""
        return self._projection.apply(self._runtime.infer(pixels, slot))
