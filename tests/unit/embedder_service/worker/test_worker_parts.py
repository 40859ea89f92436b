"""The small parts of the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from embedder_service.worker.call_gatherer import CallGatherer
from embedder_service.worker.in_hand import MAX_READ_ITEMS, InHand
from embedder_service.worker.next_step import NextStep, next_step_after
from embedder_service.worker.protocols import Entry, KeyRefused, PeerLost
from embedder_service.worker.settings import load
from embedder_service.worker.stats import Stats
from embedder_service.worker.turnstile import Turnstile
from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.v1.search_pb2 import MutationResult
from lookalike.wire.errors import (
    DeadlineExceeded,
    Exhausted,
    ImageUnreadable,
    LookalikeError,
    NotFound,
    PermissionDenied,
    Precondition,
    Reason,
    Unauthenticated,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "next_step"),
    [
        (PeerLost("embedder"), NextStep.TRY_ALONE),
        (LookalikeError("x", reason=Reason.INTERNAL), NextStep.TRY_ALONE),
        (DeadlineExceeded(), NextStep.TRY_ALONE),
        (KeyRefused(Unauthenticated("x")), NextStep.WAIT),
        (PermissionDenied("the item is another's"), NextStep.GIVE_UP),
        (Exhausted("x"), NextStep.WAIT),
        (Exhausted("x", reason=Reason.DISK_FULL), NextStep.WAIT),
        (Unavailable("x", reason=Reason.NOT_READY), NextStep.WAIT),
        (Unavailable("x", reason=Reason.STORE_FAILED), NextStep.WAIT),
        (ImageUnreadable("x"), NextStep.GIVE_UP),
        (NotFound("x", reason=Reason.COLLECTION_NOT_FOUND), NextStep.GIVE_UP),
        (NotFound("x", reason=Reason.MODEL_NOT_FOUND), NextStep.GIVE_UP),
        (Precondition("x", reason=Reason.MODEL_MISMATCH), NextStep.GIVE_UP),
    ],
)
def test_what_follows_an_error(error: LookalikeError, next_step: NextStep) -> None:
    assert next_step_after(error) is next_step


async def test_whoever_is_alone_is_alone() -> None:
    turnstile = Turnstile()
    order: list[str] = []

    async def together(name: str, hold_s: float) -> None:
        async with turnstile.together():
            order.append(f"{name} in")
            await asyncio.sleep(hold_s)
            order.append(f"{name} out")

    async def alone() -> None:
        async with turnstile.alone():
            order.append("alone in")
            await asyncio.sleep(0.02)
            order.append("alone out")

    first = [asyncio.create_task(together(name, 0.02)) for name in "ab"]
    await asyncio.sleep(0)
    one = asyncio.create_task(alone())
    await asyncio.sleep(0)
    late = asyncio.create_task(together("c", 0.0))
    await asyncio.gather(*first, one, late)
    assert order[:2] == ["a in", "b in"]
    assert order[4:6] == ["alone in", "alone out"]
    assert order[6:] == ["c in", "c out"]


async def test_room_shrinks_with_what_is_held() -> None:
    in_hand = InHand(max_items=20, max_bytes=1_000)
    assert await in_hand.room() == 1  # nobody knows yet how large they are
    assert in_hand.add(Entry("1-0", 100, None))
    assert not in_hand.add(Entry("1-0", 100, None))
    assert await in_hand.room() == 9
    assert in_hand.add(Entry("2-0", 900, None))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(in_hand.room(), 0.02)
    waiting = asyncio.create_task(in_hand.room())
    await asyncio.sleep(0)
    in_hand.remove(Entry("2-0", 900, None))
    in_hand.remove(Entry("1-0", 100, None, lane=3))
    assert await waiting == 1  # as large as the largest seen lately
    assert await InHand(100, 10**9).room() <= MAX_READ_ITEMS


async def test_batches_grow_while_a_call_is_under_way() -> None:
    calls: list[tuple[str, list[int]]] = []

    async def send(uid: str, items: Sequence[int]) -> Sequence[MutationResult]:
        calls.append((uid, list(items)))
        await asyncio.sleep(0.01)
        if 13 in items:
            raise Exhausted("no room")
        return [MutationResult(version=item) for item in items]

    gatherer: CallGatherer[int] = CallGatherer(send, max_items=4, max_calls=1)
    results = await asyncio.gather(*(gatherer.submit("a", n) for n in range(6)))
    assert [result.version for result in results] == list(range(6))
    assert calls == [("a", [0]), ("a", [1, 2, 3, 4]), ("a", [5])]
    outcomes = await asyncio.gather(
        *(gatherer.submit(uid, n) for uid, n in [("a", 1), ("a", 13), ("b", 2)]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [MutationResult, Exhausted, MutationResult]
    await gatherer.close()


async def test_what_comes_one_after_the_other_goes_in_one_call() -> None:
    calls: list[list[int]] = []

    async def send(uid: str, items: Sequence[int]) -> Sequence[MutationResult]:
        calls.append(list(items))
        return [MutationResult(version=item) for item in items]

    gatherer: CallGatherer[int] = CallGatherer(send, max_items=4, max_calls=2, gather_s=1.0)
    first = asyncio.create_task(gatherer.submit("a", 0))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(gatherer.submit("a", 1))
    assert [result.version for result in await asyncio.gather(first, second)] == [0, 1]
    await asyncio.gather(*(gatherer.submit("a", n) for n in range(4)))  # full: none waits
    assert calls == [[0, 1], [0, 1, 2, 3]]
    left = asyncio.create_task(gatherer.submit("a", 9))
    await asyncio.sleep(0)
    await gatherer.close()
    assert isinstance((await asyncio.gather(left, return_exceptions=True))[0], BaseException)
    assert calls == [[0, 1], [0, 1, 2, 3]]


async def test_a_call_stays_below_what_a_message_holds() -> None:
    calls: list[list[int]] = []

    async def send(uid: str, items: Sequence[int]) -> Sequence[MutationResult]:
        calls.append(list(items))
        return [MutationResult(version=item) for item in items]

    gatherer: CallGatherer[int] = CallGatherer(
        send, max_items=9, max_calls=1, gather_s=0.01, size_of=lambda item: item << 20
    )
    await asyncio.gather(*(gatherer.submit("a", size) for size in (20, 12, 1, 40, 3)))
    await gatherer.close()
    assert calls == [[20, 12], [1], [40], [3]]


async def test_too_few_results_are_nobodys_results() -> None:
    async def send(uid: str, items: Sequence[int]) -> Sequence[MutationResult]:
        return [MutationResult()] * (len(items) - 1)

    with pytest.raises(PeerLost):
        await CallGatherer[int](send, max_items=4, max_calls=1).submit("a", 1)


async def test_closing_a_gatherer_leaves_nobody_waiting() -> None:
    async def send(uid: str, items: Sequence[int]) -> Sequence[MutationResult]:
        await asyncio.sleep(60)
        return []

    gatherer: CallGatherer[int] = CallGatherer(send, max_items=1, max_calls=1)
    waiting = [asyncio.create_task(gatherer.submit("a", n)) for n in range(3)]
    await asyncio.sleep(0.01)
    await gatherer.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}


def test_rates_are_of_the_last_minute() -> None:
    now_s = 1000.0
    stats = Stats(lambda: now_s)
    for _ in range(30):
        stats.count_finished()
        stats.add_time("embed", 0.2)
    now_s += 10
    stats.add_time("embed", 0.5)
    state = stats.state()
    assert state["rate_per_second"] == "3.000"
    assert float(state["stage:embed"]) == pytest.approx((30 * 0.2 + 0.5) / 31, abs=1e-6)
    now_s += 100
    state = stats.state()
    assert state["finished"] == "30"
    assert state["rate_per_second"] == "0.000"
    assert "stage:embed" not in state


def test_flags_win_over_the_environment() -> None:
    settings = load(
        ["--name", "flag", "--redis", "redis://u:secret@h", "--log-json", "true"],
        {"LOOKALIKE_WORKER_NAME": "env", "LOOKALIKE_WORKER_MAX_ATTEMPTS": "5"},
    )
    assert (settings.name, settings.max_attempts, settings.log_json) == ("flag", 5, True)
    assert "secret" not in repr(settings)
    assert load([], {}).name


@pytest.mark.parametrize(
    "arguments",
    [["--max-attempts", "x"], ["--max-attempts", "0"], ["--claim-idle-s", "1"]],
)
def test_wrong_settings_are_told(arguments: list[str]) -> None:
    with pytest.raises(SettingsInvalid, match=arguments[0]):
        load(arguments, {})
