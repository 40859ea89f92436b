"""Results of other threads reach the loop: all of them, errors and cancellations too."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from search_service.handover import Handover


async def test_all_results_of_a_burst_arrive() -> None:
    handover = Handover(asyncio.get_running_loop())
    futures: list[Future[int]] = [Future() for _ in range(2_000)]
    waiting = [handover.wait(future) for future in futures]

    def resolve(start: int) -> None:
        for place in range(start, len(futures), 4):
            futures[place].set_result(place)

    threads = [threading.Thread(target=resolve, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    assert await asyncio.wait_for(asyncio.gather(*waiting), 30) == list(range(2_000))
    for thread in threads:
        thread.join()


async def test_a_failure_is_raised() -> None:
    handover = Handover(asyncio.get_running_loop())
    future: Future[int] = Future()
    waiting = handover.wait(future)
    future.set_exception(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        await waiting


async def test_to_cancel_the_wait_cancels_what_has_not_begun() -> None:
    handover = Handover(asyncio.get_running_loop())
    future: Future[int] = Future()
    task = asyncio.ensure_future(handover.wait(future))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert future.cancelled()


async def test_a_result_after_the_wait_was_cancelled_is_dropped() -> None:
    handover = Handover(asyncio.get_running_loop())
    future: Future[int] = Future()
    assert future.set_running_or_notify_cancel()
    waiting, other = handover.wait(future), Future[int]()
    waiting.cancel()
    await asyncio.sleep(0)
    behind = handover.wait(other)
    future.set_result(1)
    other.set_result(2)
    assert await asyncio.wait_for(behind, 30) == 2
    assert waiting.cancelled()


async def test_a_future_that_was_cancelled_cancels_the_wait() -> None:
    handover = Handover(asyncio.get_running_loop())
    future: Future[int] = Future()
    waiting = handover.wait(future)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_result_after_the_loop_ended_disturbs_nobody() -> None:
    loop = asyncio.new_event_loop()
    handover = Handover(loop)
    future: Future[int] = Future()
    handover.wait(future)
    loop.close()
    future.set_result(1)
    assert future.result() == 1
