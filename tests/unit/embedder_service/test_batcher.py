"""The batcher, with a runner that a test can hold, break and watch."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

import numpy as np
import pytest

from embedder_service.batcher import Batcher
from embedder_service.lanes import Lane
from embedder_service.models.definition import ModelError
from embedder_service.preprocess import U8
from embedder_service.runner import BatchFault, unit_vectors
from embedder_service.trials import BatcherOptions, Trials
from lookalike.wire.errors import DeadlineExceeded, Unavailable
from lookalike.wire.vectors import F32


class Start(Protocol):
    """Starts a batcher that the test closes at its end."""

    async def __call__(self, runtime: FakeRuntime, seen: Seen, **changes: float) -> Batcher: ...


class FakeRuntime:
    """Turns an image of value v into the vector (v + 1, 1); can be held or broken."""

    name = "fake"
    slots = 1

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.used: list[int | None] = []
        self.free = threading.Event()
        self.free.set()
        self.break_with: Exception | None = None
        self.drop_last = False
        self.delay_s = 0.0

    def infer(self, pixels: U8, slot: int | None = None) -> F32:
        self.used.append(slot)
        self.free.wait(60)
        time.sleep(self.delay_s)
        if self.break_with is not None:
            raise self.break_with
        values = pixels[:, 0, 0, 0].astype(np.float32)
        self.batches.append([int(value) for value in values])
        out = np.stack([values + 1, np.ones_like(values)], axis=1)
        return out[:-1] if self.drop_last else out


class Seen:
    """Remembers what the batcher reports."""

    def __init__(self) -> None:
        self.health: list[bool] = []
        self.failures = 0
        self.images = 0
        self.late = 0

    def overtaken(self, images: int) -> None:
        self.late += images

    def batch_done(self, images: int, seconds: float) -> None:
        self.images += images

    def runner_failed(self) -> None:
        self.failures += 1

    def healthy_changed(self, healthy: bool) -> None:
        self.health.append(healthy)


def image(value: int) -> U8:
    return np.full((4, 4, 3), value, dtype=np.uint8)


def options(**changes: float) -> BatcherOptions:
    values = {
        "input_size_px": 4,
        "max_batch_images": 4,
        "target_batch_ms": 1e6,
        "stuck_after_s": 5.0,
    }
    return BatcherOptions(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
async def running() -> AsyncIterator[Start]:
    made: list[Batcher] = []

    async def start(runtime: FakeRuntime, seen: Seen, **changes: float) -> Batcher:
        batcher = Batcher(lambda: runtime, options(**changes), seen, lambda: 0)
        made.append(batcher)
        await batcher.start()
        batcher.batch_images = 4
        runtime.batches.clear()
        return batcher

    yield start
    for batcher in made:
        await batcher.close()


async def held(batcher: Batcher, runtime: FakeRuntime) -> asyncio.Task[F32]:
    """Occupy the runner with image 0, so that what comes after it must queue."""
    runtime.free.clear()
    task = asyncio.create_task(batcher.embed(image(0), Lane.QUERY, None))
    while batcher.depth(Lane.QUERY):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    return task


async def test_each_caller_gets_its_own_unit_vector(running: Start) -> None:
    batcher = await running(FakeRuntime(), Seen())
    vectors = await asyncio.gather(*(batcher.embed(image(n), Lane.QUERY, None) for n in range(20)))
    for n, vector in enumerate(vectors):
        np.testing.assert_allclose(vector, np.array([n + 1, 1]) / np.hypot(n + 1, 1), rtol=1e-6)


async def test_takes_what_is_queued_up_to_the_batch_size(running: Start) -> None:
    runtime = FakeRuntime()
    batcher = await running(runtime, Seen())
    first = await held(batcher, runtime)
    rest = [asyncio.create_task(batcher.embed(image(n), Lane.QUERY, None)) for n in range(1, 7)]
    await asyncio.sleep(0.01)
    runtime.free.set()
    await asyncio.gather(first, *rest)
    assert runtime.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_slots_work_side_by_side_and_one_image_has_them_all(running: Start) -> None:
    runtime = FakeRuntime()
    runtime.slots = 3
    batcher = await running(runtime, Seen())
    runtime.used.clear()
    await batcher.embed(image(1), Lane.QUERY, None)
    assert runtime.used == [None]
    runtime.used.clear()
    runtime.free.clear()
    batcher.batch_images = 1
    tasks = [asyncio.create_task(batcher.embed(image(n), Lane.QUERY, None)) for n in range(5)]
    while len(runtime.used) < 3:
        await asyncio.sleep(0.001)
    assert sorted(slot for slot in runtime.used if slot is not None) == [0, 1, 2]
    runtime.free.set()
    await asyncio.gather(*tasks)
    assert len(runtime.used) == 5


async def test_queries_go_first_and_bulk_keeps_its_share(running: Start) -> None:
    runtime = FakeRuntime()
    batcher = await running(runtime, Seen())
    first = await held(batcher, runtime)
    bulk = [asyncio.create_task(batcher.embed(image(100 + n), Lane.BULK, None)) for n in range(4)]
    await asyncio.sleep(0.01)
    queries = [asyncio.create_task(batcher.embed(image(n), Lane.QUERY, None)) for n in range(1, 7)]
    await asyncio.sleep(0.01)
    runtime.free.set()
    await asyncio.gather(first, *bulk, *queries)
    assert runtime.batches[1] == [1, 2, 3, 100]
    assert runtime.batches[2] == [4, 5, 6, 101]


async def test_cancelled_and_expired_work_never_reaches_the_runner(running: Start) -> None:
    runtime = FakeRuntime()
    batcher = await running(runtime, Seen())
    first = await held(batcher, runtime)
    cancelled = asyncio.create_task(batcher.embed(image(1), Lane.QUERY, None))
    expired = asyncio.create_task(batcher.embed(image(2), Lane.BULK, time.monotonic() + 0.02))
    alive = asyncio.create_task(batcher.embed(image(3), Lane.BULK, time.monotonic() + 60))
    await asyncio.sleep(0.05)
    cancelled.cancel()
    await asyncio.sleep(0)
    runtime.free.set()
    await asyncio.gather(first, alive)
    with pytest.raises(DeadlineExceeded):
        await expired
    assert runtime.batches == [[0], [3]]


async def test_work_that_a_deadline_overtakes_is_counted(running: Start) -> None:
    runtime, seen = FakeRuntime(), Seen()
    batcher = await running(runtime, seen)
    runtime.free.clear()
    deadline_s = time.monotonic() + 0.05
    with pytest.raises(TimeoutError):
        async with asyncio.timeout_at(deadline_s):
            await batcher.embed(image(1), Lane.QUERY, deadline_s)
    runtime.free.set()
    assert len(await batcher.embed(image(2), Lane.QUERY, None)) == 2
    assert seen.late == 1


async def test_a_crash_is_told_to_all_and_the_runner_comes_back(running: Start) -> None:
    runtime, seen = FakeRuntime(), Seen()
    batcher = await running(runtime, seen)
    first = await held(batcher, runtime)
    waiting = [asyncio.create_task(batcher.embed(image(n), Lane.BULK, None)) for n in range(9)]
    await asyncio.sleep(0.01)
    runtime.break_with = RuntimeError("device lost")
    runtime.free.set()
    results = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert not any("device lost" in str(result) for result in results)
    runtime.break_with = None
    while not batcher.healthy:
        await asyncio.sleep(0.01)
    assert seen.health == [True, False, True]
    assert seen.failures == 1
    assert len(await batcher.embed(image(5), Lane.QUERY, None)) == 2


async def test_a_short_answer_counts_as_a_crash(running: Start) -> None:
    runtime, seen = FakeRuntime(), Seen()
    batcher = await running(runtime, seen)
    runtime.drop_last = True
    with pytest.raises(Unavailable):
        await batcher.embed(image(1), Lane.QUERY, None)
    assert seen.failures == 1


async def test_a_stuck_batch_counts_as_a_crash(running: Start) -> None:
    runtime, seen = FakeRuntime(), Seen()
    batcher = await running(runtime, seen, stuck_after_s=0.05)
    runtime.free.clear()
    with pytest.raises(Unavailable):
        await batcher.embed(image(1), Lane.QUERY, None)
    runtime.free.set()
    assert seen.failures == 1


async def test_closing_resolves_what_waits(running: Start) -> None:
    runtime = FakeRuntime()
    batcher = await running(runtime, Seen())
    first = await held(batcher, runtime)
    waiting = asyncio.create_task(batcher.embed(image(1), Lane.BULK, None))
    await asyncio.sleep(0.01)
    await batcher.close()
    runtime.free.set()
    results = await asyncio.gather(first, waiting, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    with pytest.raises(Unavailable, match="stopping"):
        await batcher.embed(image(2), Lane.QUERY, None)


@pytest.mark.parametrize(
    "features",
    [
        np.zeros((2, 3)),
        np.array([[1, np.nan], [1, 1]]),
        np.array([[np.inf, 1], [1, 1]]),
        np.ones(2),
    ],
)
def test_vectors_without_direction_are_a_fault(features: np.ndarray[Any, Any]) -> None:
    with pytest.raises(BatchFault):
        unit_vectors(features.astype(np.float32), 2)


def test_batches_grow_only_within_the_time_target() -> None:
    class Slow(FakeRuntime):
        def infer(self, pixels: U8, slot: int | None = None) -> F32:
            time.sleep(0.004 if len(pixels) <= 2 else 0.2)
            return super().infer(pixels, slot)

    images, seconds = Trials(Slow(), options(target_batch_ms=100), lambda: 0).run()
    assert images == 2
    assert seconds < 0.1


def test_a_model_above_its_memory_bound_is_refused() -> None:
    trials = Trials(FakeRuntime(), options(memory_limit_bytes=100 << 20), lambda: 200 << 20)
    with pytest.raises(ModelError, match="model_memory_mib"):
        trials.run()


def test_memory_bounds_the_batch() -> None:
    runtime = FakeRuntime()

    def used() -> int:
        return (150 if any(len(batch) >= 4 for batch in runtime.batches) else 50) << 20

    assert Trials(runtime, options(memory_limit_bytes=100 << 20), used).run()[0] <= 2
