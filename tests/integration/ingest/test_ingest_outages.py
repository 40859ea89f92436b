"""Whatever is away for a while: the backlog waits and drains by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable
from tests.integration.ingest.model import FakeEmbedder, FakeIndex
from tests.integration.ingest.rig import RunningWorker, drained, front_door, submission, worker
from tests.integration.ingest.valkey import Valkey


async def test_embedder_away_pauses_and_counts_nothing(
    valkey_server: Valkey, client: Redis
) -> None:
    embedder, index = FakeEmbedder(lambda: 0.05), FakeIndex()
    async with front_door(valkey_server.url) as door, worker(valkey_server.url, embedder, index):
        for number in range(40):
            await door.submit(submission("upload", f"id-{number}", f"picture-{number}"))
        while not index.rows:
            await asyncio.sleep(0.005)
        embedder.set_ready(False)
        await asyncio.sleep(2.5)  # longer than claim_idle_s: nobody takes them from their holder
        pending: Any = await client.xpending_range("{lookalike}:queue", "workers", "-", "+", 100)
        assert pending
        assert {row["times_delivered"] for row in pending} == {1}
        assert await client.hlen("{lookalike}:attempts") == 0
        assert (await door.state()).workers[0].paused_reason == "the embedder is away"
        embedder.set_ready(True)
        await drained(door)
        failures, _ = await door.list_failures("", 10, "")
    assert failures == []
    assert len(index.state()) == 40
    assert set(index.applied.values()) == {1}


async def test_full_memory_refuses_producers_while_the_worker_drains(own_valkey: Valkey) -> None:
    own_valkey.start()
    client = Redis.from_url(own_valkey.url, protocol=2)
    used = (await client.info("memory"))["used_memory"]
    await client.config_set("maxmemory", used + 3_000_000)
    accepted: set[str] = set()
    embedder, index = FakeEmbedder(), FakeIndex()
    async with front_door(own_valkey.url) as door:
        refusal: LookalikeError | None = None
        for number in range(200):
            try:
                await door.submit(submission("upload", f"id-{number}", f"{number:06d}" * 10_000))
            except Exhausted as error:
                refusal = error
                break
            accepted.add(f"id-{number}")
        assert refusal is not None
        assert refusal.retry_delay_s
        assert len(accepted) > 10
        async with worker(own_valkey.url, embedder, index):
            await drained(door)
            await door.submit(submission("upload", "after", "picture"))
            await drained(door)
    await client.aclose()
    assert set(index.state()) == accepted | {"after"}


async def test_a_worker_waits_for_a_server_without_memory_for_the_group(own_valkey: Valkey) -> None:
    own_valkey.start()
    client = Redis.from_url(own_valkey.url, protocol=2)
    await client.config_set("maxmemory", 1)
    running = RunningWorker(own_valkey.url, FakeEmbedder(), FakeIndex(), "w")
    for call in (running.queue.wait_for_server(0.2), running.queue.read_new(1, {})):
        with pytest.raises(Unavailable) as raised:
            await call
        assert raised.value.reason is Reason.QUEUE_UNAVAILABLE
    await client.config_set("maxmemory", 0)
    await running.queue.wait_for_server(0.2)
    assert await running.queue.read_new(1, {}) == []
    await running.queue.close()
    await client.aclose()


async def test_bytes_and_age_are_bounded(valkey_server: Valkey, client: Redis) -> None:
    async with front_door(valkey_server.url, max_queue_bytes=5_000) as door:
        accepted = 0
        with pytest.raises(Exhausted, match="full"):
            for number in range(100):
                await door.submit(submission("upload", f"id-{number}", "x" * 700))
                accepted += 1
        assert accepted == 2  # picture and metadata are the same text here
        assert (await door.state()).queue.counted_bytes <= 5_000
        async with worker(valkey_server.url, FakeEmbedder(), FakeIndex()):
            await drained(door)
        # One that is larger than the bound passes when it is alone.
        await door.submit(submission("upload", "large", "x" * 9_000))
    async with front_door(valkey_server.url, max_queue_age_s=0.1) as door:
        with pytest.raises(Exhausted, match="the oldest image has waited"):
            for _ in range(200):
                await door.submit(submission("delete", "id", ""))
                await asyncio.sleep(0.05)


async def test_killed_queue_comes_back_with_all_that_was_accepted(own_valkey: Valkey) -> None:
    own_valkey.start()
    index = FakeIndex(lambda: 0.005)
    accepted: dict[str, int] = {}
    reasons: set[Reason] = set()
    async with (
        front_door(own_valkey.url) as door,
        worker(own_valkey.url, FakeEmbedder(lambda: 0.01), index),
    ):

        async def submit() -> None:
            for number in range(150):
                while True:
                    try:
                        version = await door.submit(
                            submission("upload", f"id-{number}", f"picture-{number}")
                        )
                        break
                    except Unavailable as error:
                        reasons.add(error.reason)
                        await asyncio.sleep(0.05)
                accepted[f"id-{number}"] = version

        submitting = asyncio.create_task(submit())
        for _ in range(3):
            await asyncio.sleep(0.15)
            own_valkey.kill()
            await asyncio.sleep(0.1)
            await asyncio.to_thread(own_valkey.start)
        await submitting
        await drained(door, 60.0)
        failures, _ = await door.list_failures("", 10, "")
        state = await door.state()
    assert failures == []
    assert reasons <= {Reason.QUEUE_UNAVAILABLE}
    assert sorted(index.state()) == sorted(accepted)
    assert {item: row.vector_version for item, row in index.rows.items()} == accepted
    assert state.queue.counted_bytes == 0


async def test_front_door_starts_without_the_queue_and_finds_it_later(own_valkey: Valkey) -> None:
    async with front_door(own_valkey.url, startup_wait_s=0.2) as door:
        with pytest.raises(Unavailable) as raised:
            await door.submit(submission("delete", "id", ""))
        assert raised.value.reason is Reason.QUEUE_UNAVAILABLE
        await asyncio.to_thread(own_valkey.start)
        assert await door.submit(submission("delete", "id", "")) > 0


async def test_a_server_that_evicts_is_refused_in_one_line(own_valkey: Valkey) -> None:
    own_valkey.start()
    client = Redis.from_url(own_valkey.url)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    await client.aclose()
    with pytest.raises(Unavailable, match="set maxmemory-policy to noeviction"):
        async with front_door(own_valkey.url):
            pass
    with pytest.raises(Unavailable, match="set maxmemory-policy to noeviction"):
        async with worker(own_valkey.url, FakeEmbedder(), FakeIndex()):
            pass
