"""How large a batch should be: measured before the first image comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from embedder_service.models.definition import ModelError
from embedder_service.preprocess import U8
from embedder_service.runtimes.protocol import Runtime

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class BatcherOptions:
    """Bounds of one batcher.

    Batches grow no longer than `target_batch_ms`, so that a query never waits
    long for the batch before it; a batch that takes more than `stuck_after_s`
    counts as a crash of the runner. `memory_limit_bytes` bounds what the model
    with its largest batch adds to the process; 0 for no bound.
    """

    input_size_px: int
    max_batch_images: int
    target_batch_ms: float
    stuck_after_s: float
    memory_limit_bytes: int = 0


class Trials:
    """Runs growing batches through a network, in all its slots, which warms it up too."""

    def __init__(
        self, runtime: Runtime, options: BatcherOptions, memory_bytes: Callable[[], int]
    ) -> None:
        """`memory_bytes` returns what the network has taken so far."""
        self._runtime = runtime
        self._options = options
        self._memory_bytes = memory_bytes

    def run(self) -> tuple[int, float]:
        """Return the batch size of a slot with the best rate, and the seconds per image.

        Sizes grow while a batch keeps the bounds on time and memory. On a CPU
        small batches win, since their activations stay in its caches.

        Raises:
            ModelError: one image alone passes the bound on memory.
        """
        self._runtime.infer(self._noise(1))
        images, best_images, best_s = 1, 1, float("inf")
        with ThreadPoolExecutor(max_workers=self._runtime.slots) as slots:
            while images <= self._options.max_batch_images:
                seconds = self._time_s(images, slots)
                if images > 1 and not self._keeps_bounds(seconds):
                    break
                if seconds / images < best_s:
                    best_images, best_s = images, seconds / images
                images *= 2
        return best_images, best_s / self._runtime.slots

    def _time_s(self, images: int, slots: ThreadPoolExecutor) -> float:
        """Return the shortest of three rounds, after one that prepares the shape."""
        pixels = self._noise(images)
        times = []
        for _ in range(4):
            started_s = time.perf_counter()
            running = [
                slots.submit(self._runtime.infer, pixels, slot)
                for slot in range(self._runtime.slots)
            ]
            for call in running:
                call.result()
            times.append(time.perf_counter() - started_s)
        if images == 1:
            self._check_memory()
        return min(times[1:])

    def _keeps_bounds(self, seconds: float) -> bool:
        limit = self._options.memory_limit_bytes
        fits = not limit or self._memory_bytes() <= limit
        return fits and seconds * 1000 <= self._options.target_batch_ms

    def _check_memory(self) -> None:
        limit, used = self._options.memory_limit_bytes, self._memory_bytes()
        if limit and used > limit:
            raise ModelError(
                f"the model takes {used // _MIB} MiB; its bound is {limit // _MIB}: "
                "raise model_memory_mib or serve a smaller model"
            )

    def _noise(self, images: int) -> U8:
        """Return uint8 [images, S, S, 3]: noise, since some kernels are faster on zeros."""
        size = self._options.input_size_px
        generator = np.random.default_rng(0)
        return generator.integers(0, 256, (images, size, size, 3), dtype=np.uint8)
