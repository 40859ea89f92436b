"""Whose turn it is."""

import asyncio

from embedder_service.worker.fair import FairPlaces, shares


def test_the_lane_of_which_least_is_in_hand_comes_first() -> None:
    assert shares(16, [10_000, 9], {0: 200}) == {1: 9, 0: 7}
    assert shares(4, [10_000, 9], {0: 200}) == {1: 4}


def test_lanes_share_alike_and_the_small_one_is_first() -> None:
    assert shares(4, [50, 40, 60], {}) == {1: 2, 0: 1, 2: 1}
    assert next(iter(shares(4, [50, 40, 60], {}))) == 1


def test_no_more_is_read_than_waits() -> None:
    assert shares(16, [0, 3, 0], {}) == {1: 3}
    assert shares(16, [0, 0], {0: 5}) == {}


async def test_a_free_place_goes_to_the_owner_that_has_fewest() -> None:
    places = FairPlaces(2)
    order: list[str] = []
    leave = asyncio.Event()

    async def work(owner: str, name: str) -> None:
        async with places.place(owner):
            order.append(name)
            await leave.wait()

    tasks = [asyncio.create_task(work("bulk", f"bulk-{n}")) for n in range(5)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(work("small", f"small-{n}")) for n in range(2)]
    await asyncio.sleep(0)
    assert order == ["bulk-0", "bulk-1"]
    leave.set()
    await asyncio.gather(*tasks)
    assert order[2:4] in (["small-0", "bulk-2"], ["small-0", "small-1"])
    assert set(order) == {f"bulk-{n}" for n in range(5)} | {"small-0", "small-1"}


async def test_one_who_leaves_while_waiting_takes_no_place() -> None:
    places = FairPlaces(1)
    entered = asyncio.Event()

    async def enter() -> None:
        async with places.place("b"):
            entered.set()

    async with places.place("a"):
        leaver, stayer = asyncio.create_task(enter()), asyncio.create_task(enter())
        await asyncio.sleep(0)
        leaver.cancel()
    await asyncio.gather(leaver, stayer, return_exceptions=True)
    async with asyncio.timeout(60), places.place("c"):
        assert entered.is_set()


async def test_a_place_that_was_handed_to_one_who_left_is_given_on() -> None:
    places = FairPlaces(1)

    async def enter() -> None:
        async with places.place("b"):
            pass

    async with places.place("a"):
        leaver = asyncio.create_task(enter())
        await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    async with asyncio.timeout(60), places.place("c"):
        pass
