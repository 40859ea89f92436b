"""Jobs share the workers; failures and rejections follow their item's newest version."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from lookalike.serving.queue.keys import LANES, QueueKeys
from lookalike.v1 import collection_pb2, search_pb2
from lookalike.wire.errors import InvalidField, Reason
from search_service.domain.collection import DuplicatePolicy
from tests.integration.ingest.model import FakeCatalog, FakeEmbedder, FakeIndex
from tests.integration.ingest.rig import RunningWorker, drained, front_door, submission, worker
from tests.integration.ingest.valkey import Valkey


async def test_nine_files_do_not_wait_behind_a_bulk_job(
    valkey_server: Valkey, client: Redis
) -> None:
    """They are through when the bulk job has had about as many turns as they."""
    embedder = FakeEmbedder(lambda: 0.005)
    async with front_door(valkey_server.url) as door:
        await asyncio.gather(
            *(door.submit(submission("upload", f"b-{n}", f"bulk-{n}", "bulk")) for n in range(400))
        )
        async with worker(valkey_server.url, embedder, FakeIndex(), max_embeds_in_flight=4):
            while len(embedder.calls) < 20:
                await asyncio.sleep(0.005)
            for n in range(9):
                await door.submit(submission("upload", f"s-{n}", f"small-{n}", "small"))
            await drained(door)
    places = [at for at, picture in enumerate(embedder.calls) if picture.startswith(b"small")]
    assert len(places) == 9
    assert len(embedder.calls) == 409
    # In one line they were the last nine.
    assert places[-1] < 200


async def test_two_bulk_jobs_advance_side_by_side(valkey_server: Valkey, client: Redis) -> None:
    embedder = FakeEmbedder(lambda: 0.002)
    async with front_door(valkey_server.url) as door:
        for job in ("first", "second"):
            await asyncio.gather(
                *(door.submit(submission("upload", f"{job}-{n}", job, job)) for n in range(200))
            )
        async with worker(valkey_server.url, embedder, FakeIndex(), max_embeds_in_flight=4):
            await drained(door)
    half = embedder.calls[:200]
    assert half.count(b"second") >= 60
    assert half.count(b"first") >= 60


async def test_all_mutations_of_an_item_stand_in_one_lane_in_their_order(
    valkey_server: Valkey, client: Redis
) -> None:
    keys = QueueKeys()
    async with front_door(valkey_server.url) as door:
        for n in range(LANES + 3):
            await door.submit(submission("upload", f"other-{n}", "x", f"job-{n}"))
        for n in range(LANES + 3):
            await door.submit(submission("metadata", "shared", f"v{n}", f"job-{n}"))
        lanes: list[Any] = [await client.xrange(lane) for lane in keys.lanes]
        assert sum(map(len, lanes)) == 2 * (LANES + 3)
        assert all(lanes)
        holding = [rows for rows in lanes if any(row[b"i"] == b"shared" for _, row in rows)]
        versions = [int(row[b"v"]) for _, row in holding[0] if row[b"i"] == b"shared"]
    assert len(holding) == 1
    assert versions == sorted(versions)
    assert len(versions) == LANES + 3


async def test_entries_of_every_lane_are_taken_over_from_a_dead_worker(
    valkey_server: Valkey, client: Redis
) -> None:
    index = FakeIndex()
    hasty: dict[str, Any] = {"claim_idle_s": 0.4, "heartbeat_s": 0.1}
    async with front_door(valkey_server.url) as door:
        for n in range(LANES):
            await door.submit(submission("upload", f"id-{n}", "x", f"job-{n}"))
        slow = FakeEmbedder(lambda: 30.0)
        first = RunningWorker(valkey_server.url, slow, index, "first", **hasty)
        await first.start()
        while len(slow.calls) < LANES:
            await asyncio.sleep(0.01)
        await first.die()
        async with worker(valkey_server.url, FakeEmbedder(), index, "second", **hasty):
            await drained(door)
    assert set(index.state()) == {f"id-{n}" for n in range(LANES)}


async def test_a_failure_is_past_once_the_item_is_stored(
    valkey_server: Valkey, client: Redis
) -> None:
    index = FakeIndex()
    async with (
        front_door(valkey_server.url) as door,
        worker(valkey_server.url, FakeEmbedder(), index),
    ):
        await door.submit(submission("upload", "a", "poison half a file", "one"))
        await door.submit(submission("upload", "b", "poison", "one"))
        await drained(door)
        failed, _ = await door.list_failures("", 100, "")
        assert {one.id for one in failed} == {"a", "b"}
        old = next(one.failure_id for one in failed if one.id == "a")

        await door.submit(submission("upload", "a", "the whole file", "two"))
        await door.submit(submission("metadata", "b", "new label", "two"))
        await drained(door)
        left, _ = await door.list_failures("", 100, "")
        assert {one.id for one in left} == {"b"}
        assert (await door.state()).queue.failures == 1
        assert await door.retry_failures([old]) == (0, [old])
        await drained(door)
    assert index.state()["a"] == (b"the whole file", "the whole file")
    assert await client.keys("*dead:*") == [QueueKeys().dead_entry(left[0].entry_id).encode()]


async def test_only_the_newest_failure_of_an_item_is_listed(
    valkey_server: Valkey, client: Redis
) -> None:
    async with (
        front_door(valkey_server.url) as door,
        worker(valkey_server.url, FakeEmbedder(), FakeIndex()),
    ):
        for n in range(3):
            await door.submit(submission("upload", "a", f"poison-{n}"))
            await drained(door)
        newest = await door.submit(submission("upload", "a", "poison-last"))
        await drained(door)
        failed, _ = await door.list_failures("", 100, "")
        assert [(one.id, one.version) for one in failed] == [("a", newest)]

        await door.submit(submission("delete", "a", ""))
        await drained(door)
        assert (await door.list_failures("", 100, ""))[0] == []
        assert await client.get(QueueKeys().dead_bytes) == b"0"


async def test_a_rejected_duplicate_is_told_listed_and_stored_by_one_call(
    valkey_server: Valkey, client: Redis
) -> None:
    index = FakeIndex()
    async with (
        front_door(valkey_server.url) as door,
        worker(valkey_server.url, FakeEmbedder(), index),
    ):
        for name in ("a", "b"):
            await door.submit(submission("upload", name, f"twin-{name}", "job"))
        await drained(door)
        told = [
            search_pb2.MutationResult.FromString(event.result)
            async for event in door.watch("job", "")
        ]
        assert {one.status for one in told} == {search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE}
        assert {(one.near_duplicate.id, one.near_duplicate.score) for one in told} == {("x", 0.5)}

        listed, _ = await door.list_failures("", 100, "")
        assert [(one.id, one.near_id, one.near_score) for one in listed] == [
            ("b", "x", 0.5),
            ("a", "x", 0.5),
        ]
        assert {one.reason for one in listed} == {Reason.DUPLICATE_REJECTED}
        assert index.state() == {}

        # Tried again as it was, it is rejected again, and listed.
        assert await door.retry_failures([listed[0].failure_id]) == (1, [])
        await drained(door)
        listed, _ = await door.list_failures("", 100, "")
        assert {one.id for one in listed} == {"a", "b"}

        accept = collection_pb2.DUPLICATE_POLICY_ACCEPT
        assert await door.retry_failures([one.failure_id for one in listed], accept) == (2, [])
        await drained(door)
        assert await door.list_failures("", 100, "") == ([], "")
    assert set(index.state()) == {"a", "b"}


async def test_a_submission_may_override_the_policy(valkey_server: Valkey, client: Redis) -> None:
    index = FakeIndex()
    async with (
        front_door(valkey_server.url) as door,
        worker(valkey_server.url, FakeEmbedder(), index),
    ):
        accept = collection_pb2.DUPLICATE_POLICY_ACCEPT
        one = submission("upload", "a", "twin-a")
        await door.submit(replace(one, duplicate_policy=accept))
        await drained(door)
    assert set(index.state()) == {"a"}


async def test_a_policy_needs_a_threshold_to_go_by(valkey_server: Valkey, client: Redis) -> None:
    catalog = FakeCatalog()
    catalog.collection.versions.policy = DuplicatePolicy.OFF
    async with front_door(valkey_server.url, catalog) as door:
        one = submission("upload", "a", "x")
        with pytest.raises(InvalidField, match="no threshold"):
            await door.submit(replace(one, duplicate_policy=collection_pb2.DUPLICATE_POLICY_REJECT))
        assert await door.submit(replace(one, duplicate_policy=collection_pb2.DUPLICATE_POLICY_OFF))


async def test_a_failure_is_past_also_when_the_item_was_stored_past_the_queue(
    valkey_server: Valkey, client: Redis
) -> None:
    """As by UpsertVectors: nothing of it goes through the queue."""
    catalog = FakeCatalog()
    async with (
        front_door(valkey_server.url, catalog) as door,
        worker(valkey_server.url, FakeEmbedder(), FakeIndex()),
    ):
        version = await door.submit(submission("upload", "a", "poison"))
        await drained(door)
        failed, _ = await door.list_failures("", 100, "")
        assert len(failed) == 1

        catalog.collection.versions.stored["a"] = version + 1
        assert await door.retry_failures([failed[0].failure_id]) == (0, [failed[0].failure_id])
        assert (await door.state()).queue.failures == 0
