"""From acceptance to outcome, on a real queue server."""

from __future__ import annotations

import asyncio
import random

import pytest
from redis.asyncio import Redis

from lookalike.serving.queue.keys import QueueKeys
from lookalike.v1 import errors_pb2, search_pb2
from lookalike.wire.errors import InvalidField
from tests.integration.ingest.model import (
    FakeEmbedder,
    FakeIndex,
    expected,
    random_operations,
)
from tests.integration.ingest.rig import drained, front_door, submission, worker
from tests.integration.ingest.valkey import Valkey


async def test_mutations_become_state_and_leave_nothing_behind(
    valkey_server: Valkey, client: Redis
) -> None:
    index = FakeIndex()
    operations = random_operations(random.Random(1), 300, 40)
    async with (
        front_door(valkey_server.url) as door,
        worker(valkey_server.url, FakeEmbedder(), index),
    ):
        for kind, item_id, value in operations:
            await door.submit(submission(kind, item_id, value))
        await drained(door)
        state = await door.state()
    assert index.state() == expected(operations)
    assert (state.queue.counted_bytes, state.queue.pending, state.queue.lag) == (0, 0, 0)
    assert state.queue.oldest_age_s is None
    # What ended last may not have been read by the ledger yet.
    left = set(await client.keys("*")) - {b"{lookalike}:ended"}
    lanes = {lane.encode() for lane in QueueKeys().lanes}
    assert left == lanes | {b"{lookalike}:queue-bytes"}


async def test_a_job_tells_every_outcome_and_ends(valkey_server: Valkey, client: Redis) -> None:
    async with front_door(valkey_server.url) as door:
        versions = [
            await door.submit(submission("upload", f"id-{n}", f"picture-{n}", "job-1"))
            for n in range(20)
        ]
        await door.submit(submission("upload", "bad", "poison", "job-1"))
        await door.submit(submission("delete", "nobody", "", "job-1"))
        seen: dict[str, search_pb2.MutationResult] = {}
        cursors = []
        remaining = 99
        async with worker(valkey_server.url, FakeEmbedder(), FakeIndex()):
            async for event in door.watch("job-1", ""):
                result = search_pb2.MutationResult.FromString(event.result)
                seen[result.id] = result
                cursors.append(event.cursor)
                remaining = event.remaining
        assert remaining == 0
        assert [seen[f"id-{n}"].version for n in range(20)] == versions
        assert seen["bad"].error.reason == errors_pb2.ERROR_REASON_IMAGE_UNREADABLE
        assert seen["nobody"].status == search_pb2.MUTATION_STATUS_NOT_FOUND
        again = [event.cursor async for event in door.watch("job-1", cursors[9])]
        assert again == cursors[10:]
        assert [event async for event in door.watch("another", "")] == []


async def test_an_idle_system_is_woken_by_a_submission(
    valkey_server: Valkey, client: Redis
) -> None:
    """Nothing on the way polls: the outcome comes within one blocked read."""
    async with (
        front_door(valkey_server.url) as door,
        worker(valkey_server.url, FakeEmbedder(), FakeIndex()),
    ):
        for number in range(5):
            await door.submit(submission("upload", "x", f"v{number}", f"job-{number}"))
            async with asyncio.timeout(60):
                events = [event async for event in door.watch(f"job-{number}", "")]
            assert len(events) == 1


async def test_status_tells_of_what_waits_and_who_works(
    valkey_server: Valkey, client: Redis
) -> None:
    embedder = FakeEmbedder(lambda: 30.0)
    async with front_door(valkey_server.url) as door:
        for number in range(30):
            await door.submit(submission("upload", f"id-{number}", "picture"))
        before = (await door.state()).queue
        assert (before.depth, before.lag, before.pending) == (30, 30, 0)
        assert before.counted_bytes > 30 * 250
        async with worker(valkey_server.url, embedder, FakeIndex(), grace_s=0.0) as running:
            while len(embedder.calls) < 30:
                await asyncio.sleep(0.01)
            during = await door.state()
            assert (during.queue.depth, during.queue.lag, during.queue.pending) == (30, 0, 30)
            assert [worker.name for worker in during.workers] == ["w"]
            assert during.workers[0].heartbeat_age_s < 5
            assert during.workers[0].paused_reason == ""
            assert running.stats.finished == 0
        after = await door.state()
        assert after.queue.depth == 30
        assert after.workers == []


async def test_what_is_wrong_is_refused_at_the_door(valkey_server: Valkey, client: Redis) -> None:
    async with front_door(valkey_server.url) as door:
        with pytest.raises(InvalidField, match="control characters"):
            await door.submit(submission("delete", "a\nb", ""))
        with pytest.raises(InvalidField, match="encoded image"):
            await door.submit(submission("upload", "a", ""))
        with pytest.raises(InvalidField, match="64 letters"):
            await door.submit(submission("delete", "a", "", job="{x}"))
        assert (await door.state()).queue.depth == 0
