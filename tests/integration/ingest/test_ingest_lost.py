"""The queue's server forgets what was accepted: it is found, told, and can be sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from lookalike.serving.queue.keys import QueueKeys
from lookalike.v1 import errors_pb2, search_pb2
from lookalike.wire.errors import Unavailable
from search_service.ingest.front_door import FrontDoor
from tests.integration.ingest.model import FakeEmbedder, FakeIndex
from tests.integration.ingest.rig import drained, front_door, submission, worker
from tests.integration.ingest.valkey import Valkey

COUNT = 30


async def outcomes(door: FrontDoor, job: str = "job") -> dict[str, search_pb2.MutationResult]:
    """Return the job's outcomes by id, once the service says that all have ended; as a
    client it watches on where the queue was away for a moment."""
    found: dict[str, search_pb2.MutationResult] = {}
    cursor = ""
    async with asyncio.timeout(40):
        while True:
            try:
                async for event in door.watch(job, cursor):
                    cursor = event.cursor
                    result = search_pb2.MutationResult.FromString(event.result)
                    found[result.id] = result
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                return found


async def submitted(door: FrontDoor, count: int = COUNT, job: str = "job") -> None:
    await asyncio.gather(
        *(door.submit(submission("upload", f"id-{n}", f"picture-{n}", job)) for n in range(count))
    )


async def until(holds: Callable[[], Any], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await holds():
            await asyncio.sleep(0.1)


def lost_ids(results: dict[str, search_pb2.MutationResult]) -> set[str]:
    return {
        id for id, one in results.items() if one.error.reason == errors_pb2.ERROR_REASON_INGEST_LOST
    }


async def test_what_a_flush_took_is_told_as_lost_and_what_was_stored_is_not(
    valkey_server: Valkey, client: Redis
) -> None:
    index = FakeIndex()
    async with front_door(valkey_server.url) as door:
        await submitted(door, 10)
        async with worker(valkey_server.url, FakeEmbedder(), index):
            await drained(door)
        await submitted(door)
        await client.flushall()

        told = await outcomes(door)
        state = await door.state()
        failures, _ = await door.list_failures("", 100, "")
        assert lost_ids(told) == {f"id-{n}" for n in range(COUNT)}
        assert told["id-3"].error.retryable
        assert "send it again" in told["id-3"].error.message
        assert state.lost == COUNT
        assert {one.id for one in failures} == lost_ids(told)
        # What ended before the flush stays ended.
        assert len(index.state()) == 10


async def test_a_job_goes_on_after_its_loss_was_told(valkey_server: Valkey, client: Redis) -> None:
    index = FakeIndex()
    registry = CollectorRegistry()
    async with front_door(valkey_server.url, registry=registry) as door:
        await submitted(door)
        await client.flushall()
        assert len(lost_ids(await outcomes(door))) == COUNT
        assert registry.get_sample_value("lookalike_ingest_lost_total") == COUNT

        async with worker(valkey_server.url, FakeEmbedder(), index):
            await submitted(door)
            again = await outcomes(door)
        state = await door.state()
        failures, _ = await door.list_failures("", 100, "")

    assert lost_ids(again) == set()
    assert len(index.state()) == COUNT
    assert state.lost == 0
    assert failures == []


@pytest.mark.parametrize("restart_search", [False, True])
async def test_a_server_that_comes_back_empty(tmp_path: Path, restart_search: bool) -> None:
    server = Valkey(tmp_path, "--appendonly", "no")
    server.start()
    ledger = str(tmp_path / "ingest.sqlite")
    try:
        async with front_door(server.url, ledger=ledger) as door:
            await submitted(door)
            server.kill()
            if not restart_search:
                server.start()
                assert len(lost_ids(await outcomes(door))) == COUNT
        if restart_search:
            server.start()
            async with front_door(server.url, ledger=ledger) as door:
                assert len(lost_ids(await outcomes(door))) == COUNT
                assert (await door.state()).lost == COUNT
    finally:
        server.stop()


async def test_a_server_that_goes_back_to_an_older_state_loses_only_what_came_since(
    tmp_path: Path,
) -> None:
    server = Valkey(tmp_path, "--appendonly", "no")
    server.start()
    index = FakeIndex()
    try:
        async with front_door(server.url) as door:
            await submitted(door, 12)
            async with Redis.from_url(server.url) as saver:
                await saver.save()
            await submitted(door, COUNT, "later")
            server.kill()
            server.start()
            async with worker(server.url, FakeEmbedder(), index):
                first = await outcomes(door)
                later = await outcomes(door, "later")
    finally:
        server.stop()
    assert lost_ids(first) == set()
    assert set(first) == {f"id-{n}" for n in range(12)}
    assert lost_ids(later) == {f"id-{n}" for n in range(COUNT)}


async def test_entries_that_somebody_deletes_are_found_though_others_are_queued(
    valkey_server: Valkey, client: Redis
) -> None:
    async with front_door(valkey_server.url) as door:
        await submitted(door)
        rows: Any = await client.xrange(QueueKeys().stream)
        await client.xdel(QueueKeys().stream, rows[4][0], rows[9][0])
        await until(lambda: lost_count(door, 2))
        state = await door.state()
        assert state.queue.depth == COUNT - 2
        failures, _ = await door.list_failures("", 100, "")
        assert {one.id for one in failures} == {"id-4", "id-9"}


async def lost_count(door: FrontDoor, count: int) -> bool:
    return (await door.state()).lost == count


async def test_what_a_worker_has_in_hand_at_a_flush_ends_as_stored(
    valkey_server: Valkey, client: Redis
) -> None:
    index = FakeIndex()
    embedder = FakeEmbedder(lambda: 1.0)
    async with (
        front_door(valkey_server.url) as door,
        worker(valkey_server.url, embedder, index, prefetch_items=64),
    ):
        await submitted(door, 8)
        await until(lambda: taken(embedder, 8))
        await client.flushall()
        told = await outcomes(door)
    assert {one.status for one in told.values()} == {search_pb2.MUTATION_STATUS_APPLIED}
    assert len(told) == len(index.state()) == 8


async def taken(embedder: FakeEmbedder, count: int) -> bool:
    return len(embedder.calls) >= count


async def test_a_server_that_is_set_to_evict_or_to_forget_is_noticed_and_seen_to_be_mended(
    own_valkey: Valkey,
) -> None:
    own_valkey.start()
    registry = CollectorRegistry()
    async with (
        front_door(own_valkey.url, registry=registry) as door,
        Redis.from_url(own_valkey.url, decode_responses=True) as admin,
    ):

        async def warned(word: str) -> bool:
            return any(word in one for one in (await door.state()).warnings)

        async def content() -> bool:
            return not (await door.state()).warnings

        assert await content()
        await admin.config_set("appendonly", "no")
        await until(lambda: warned("append-only"))
        labels = {"risk": "persistence"}
        assert registry.get_sample_value("lookalike_ingest_queue_at_risk", labels) == 1
        await admin.config_set("appendonly", "yes")
        await until(content)

        await admin.config_set("maxmemory-policy", "allkeys-lru")
        await until(lambda: warned("noeviction"))
        with pytest.raises(Unavailable, match="noeviction"):
            await door.submit(submission("upload", "a", "picture"))
        await admin.config_set("maxmemory-policy", "noeviction")
        await until(content)
        assert await door.submit(submission("upload", "a", "picture")) > 0
