from __future__ import annotations

import asyncio
import threading

import pytest

from lookalike.wire.errors import Exhausted
from search_service.offload import Offload


async def test_work_past_the_bound_is_refused_and_places_come_back() -> None:
    offload = Offload("test", threads=1, max_waiting=1)
    go = threading.Event()
    running = asyncio.create_task(offload.run(go.wait, 10))
    waiting = asyncio.create_task(offload.run(int, "7"))
    await asyncio.sleep(0)
    with pytest.raises(Exhausted):
        await offload.run(int, "8")
    go.set()
    assert await running
    assert await waiting == 7
    assert await offload.run(int, "9") == 9
    offload.close()


async def test_a_cancelled_caller_drops_work_that_has_not_begun() -> None:
    offload = Offload("test", threads=1, max_waiting=1)
    go, ran = threading.Event(), threading.Event()
    running = asyncio.create_task(offload.run(go.wait, 10))
    waiting = asyncio.create_task(offload.run(ran.set))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    go.set()
    await running
    assert await offload.run(int, "1") == 1
    assert not ran.is_set()
    offload.close()


async def test_an_error_reaches_the_caller() -> None:
    offload = Offload("test", threads=1, max_waiting=0)
    with pytest.raises(ValueError, match="invalid literal"):
        await offload.run(int, "x")
    offload.close()


async def test_its_threads_are_prepared_and_no_other() -> None:
    prepared: list[str] = []
    offload = Offload(
        "test",
        threads=2,
        max_waiting=0,
        prepare=lambda: prepared.append(threading.current_thread().name),
    )
    assert await offload.run(lambda: threading.current_thread().name) in prepared
    assert all(name.startswith("test") for name in prepared)
    offload.close()
