"""A loaded network with its threads.

The contract with a runtime: same length, same order; checked after every batch.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from embedder_service.preprocess import U8
from embedder_service.runtimes.protocol import Runtime
from lookalike.wire.vectors import F32, LEAST_NORM


class BatchFault(Exception):
    """A runtime returned something else than one finite vector an image."""


class Runner:
    """One loaded network with its threads and its free slots."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._executor = ThreadPoolExecutor(runtime.slots, thread_name_prefix="runner")
        self._free = list(range(runtime.slots))
        self._freed = asyncio.Event()

    async def wait(self) -> None:
        """Return when a slot is free."""
        while not self._free:
            self._freed.clear()
            await self._freed.wait()

    def take(self, *, alone: bool) -> list[int]:
        """Take one slot; all of them for work that is `alone`, if all are free."""
        if alone and len(self._free) == self.runtime.slots:
            taken, self._free = self._free, []
            return taken
        return [self._free.pop()]

    def give(self, slots: list[int]) -> None:
        """Give slots back."""
        self._free += slots
        self._freed.set()

    async def infer(self, images: list[U8], slots: list[int]) -> F32:
        """Return float32 [B, D], unit L2."""
        slot = None if len(slots) == self.runtime.slots else slots[0]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._infer, images, slot)

    def close(self) -> None:
        """Start no more work; what runs ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _infer(self, images: list[U8], slot: int | None) -> F32:
        return unit_vectors(self.runtime.infer(np.stack(images), slot), len(images))


def unit_vectors(features: F32, images: int) -> F32:
    """Return float32 [images, D] of unit L2 norm.

    Raises:
        BatchFault: another number of vectors, NaN, infinity, or no direction.
    """
    if features.ndim != 2 or len(features) != images:
        raise BatchFault(f"{images} images gave an array of shape {features.shape}")
    norms = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms < LEAST_NORM).any():
        raise BatchFault("a vector is not finite or has no direction")
    units: F32 = (features / norms).astype(np.float32)
    return units
