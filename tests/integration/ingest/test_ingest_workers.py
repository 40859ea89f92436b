"""Several workers, dead ones, returning ones, and an orderly end."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from tests.integration.ingest.model import FakeEmbedder, FakeIndex
from tests.integration.ingest.rig import RunningWorker, drained, front_door, submission, worker
from tests.integration.ingest.valkey import Valkey


async def test_the_living_take_over_from_the_dead(valkey_server: Valkey, client: Redis) -> None:
    embedder, index = FakeEmbedder(lambda: 30.0), FakeIndex()
    async with front_door(valkey_server.url) as door:
        for number in range(30):
            await door.submit(submission("upload", f"id-{number}", f"picture-{number}"))
        dead = RunningWorker(valkey_server.url, embedder, index, "dead")
        await dead.start()
        while len(embedder.calls) < 30:
            await asyncio.sleep(0.01)
        await dead.die()
        heir = FakeEmbedder()
        async with worker(valkey_server.url, heir, index, "heir"):
            await drained(door)
            # What may have killed its worker runs alone.
            assert max(len(pictures) for pictures in heir.together) == 1
            async with asyncio.timeout(60):
                while len(await client.xinfo_consumers("{lookalike}:queue", "workers")) > 1:
                    await asyncio.sleep(0.05)
        assert (await door.state()).queue.failures == 0
    assert len(index.state()) == 30


async def test_a_worker_that_returns_takes_up_its_own_at_once(
    valkey_server: Valkey, client: Redis
) -> None:
    """Under its old name it need not wait until it is taken for dead."""
    index = FakeIndex()
    async with front_door(valkey_server.url) as door:
        for number in range(20):
            await door.submit(submission("upload", f"id-{number}", f"picture-{number}"))
        embedder = FakeEmbedder(lambda: 30.0)
        first = RunningWorker(
            valkey_server.url, embedder, index, "w", claim_idle_s=600.0, heartbeat_s=0.2
        )
        await first.start()
        while len(embedder.calls) < 20:
            await asyncio.sleep(0.01)
        await first.die()
        async with worker(
            valkey_server.url, FakeEmbedder(), index, "w", claim_idle_s=600.0, heartbeat_s=0.2
        ):
            await drained(door)
    assert len(index.state()) == 20


async def test_several_workers_share_the_work(valkey_server: Valkey, client: Redis) -> None:
    index = FakeIndex()
    running = [
        RunningWorker(
            valkey_server.url, FakeEmbedder(lambda: 0.01), index, f"w{n}", prefetch_items=4
        )
        for n in range(3)
    ]
    async with front_door(valkey_server.url) as door:
        for one in running:
            await one.start()
        for number in range(120):
            await door.submit(submission("upload", f"id-{number}", f"picture-{number}"))
        await drained(door)
        for one in running:
            await one.stop()
    assert len(index.state()) == 120
    assert set(index.applied.values()) == {1}
    assert all(one.stats.finished > 0 for one in running)
    assert sum(one.stats.finished for one in running) == 120


async def test_stopping_finishes_what_is_under_way(valkey_server: Valkey, client: Redis) -> None:
    embedder, index = FakeEmbedder(lambda: 0.3), FakeIndex()
    async with front_door(valkey_server.url) as door:
        running = RunningWorker(valkey_server.url, embedder, index, "w")
        await running.start()
        for number in range(20):
            await door.submit(submission("upload", f"id-{number}", f"picture-{number}"))
        while not embedder.calls:
            await asyncio.sleep(0.01)
        await running.stop()
        state = await door.state()
        assert state.queue.pending == 0
        assert len(index.state()) + state.queue.depth == 20
        assert index.state()


async def test_what_the_grace_cuts_short_is_free_for_others_at_once(
    valkey_server: Valkey, client: Redis
) -> None:
    index = FakeIndex()
    async with front_door(valkey_server.url) as door:
        for number in range(5):
            await door.submit(submission("upload", f"id-{number}", f"picture-{number}"))
        embedder = FakeEmbedder(lambda: 30.0)
        slow = RunningWorker(
            valkey_server.url,
            embedder,
            index,
            "slow",
            grace_s=0.1,
            claim_idle_s=600.0,
            heartbeat_s=0.2,
        )
        await slow.start()
        while len(embedder.calls) < 5:
            await asyncio.sleep(0.01)
        await slow.stop()
        async with worker(
            valkey_server.url, FakeEmbedder(), index, "next", claim_idle_s=600.0, heartbeat_s=0.2
        ):
            await drained(door)
    assert len(index.state()) == 5


async def test_entries_that_someone_trimmed_away_are_reported(
    valkey_server: Valkey, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    embedder, index = FakeEmbedder(lambda: 30.0), FakeIndex()
    async with front_door(valkey_server.url) as door:
        for number in range(3):
            await door.submit(submission("upload", f"id-{number}", "picture"))
        dead = RunningWorker(valkey_server.url, embedder, index, "dead")
        await dead.start()
        while len(embedder.calls) < 3:
            await asyncio.sleep(0.01)
        await dead.die()
        await client.xtrim("{lookalike}:queue", 0, approximate=False)
        assert (await door.state()).queue.lag is None
        async with worker(valkey_server.url, FakeEmbedder(), index, "heir") as heir:
            async with asyncio.timeout(60):
                while (await door.state()).queue.pending:
                    await asyncio.sleep(0.05)
            lost = heir.metrics.lost._value.get()
        assert lost == 3
    assert "trimmed away" in caplog.text


async def test_prefetch_is_bounded_by_bytes(valkey_server: Valkey, client: Redis) -> None:
    embedder = FakeEmbedder(lambda: 30.0)
    async with front_door(valkey_server.url) as door:
        for number in range(30):
            await door.submit(submission("upload", f"id-{number}", "x" * 10_000))
        async with worker(
            valkey_server.url, embedder, FakeIndex(), prefetch_bytes=100_000, grace_s=0.0
        ):
            await asyncio.sleep(0.6)
            pending = (await door.state()).queue.pending
    # An entry counts 20 kB: five fit, and the last read may pass the bound by one.
    assert 4 <= pending <= 6
