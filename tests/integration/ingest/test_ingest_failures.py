"""Poison, counting alone, the dead-letter list."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from lookalike.serving.queue.entries import Kind, QueuedMutation
from lookalike.v1 import errors_pb2
from lookalike.wire.errors import InvalidField, NotFound, PageTokenInvalid, Reason
from tests.integration.ingest.model import FINGERPRINT, FakeCatalog, FakeEmbedder, FakeIndex
from tests.integration.ingest.rig import drained, front_door, submission, worker
from tests.integration.ingest.valkey import Valkey


async def test_poison_is_listed_with_its_reason_and_blocks_nobody(
    valkey_server: Valkey, client: Redis
) -> None:
    """Unreadable at once; a fault and a crash after three tries alone."""
    embedder, index = FakeEmbedder(lambda: 0.002), FakeIndex()
    async with front_door(valkey_server.url) as door:
        for number in range(60):
            await door.submit(submission("upload", f"good-{number}", f"picture-{number}"))
            if number % 20 == 10:
                for kind in ("poison", "fault", "crash"):
                    await door.submit(submission("upload", f"{kind}-{number}", f"{kind}-{number}"))
        async with worker(valkey_server.url, embedder, index):
            await drained(door, 60.0)
        failures, token = await door.list_failures("", 100, "")
    assert token == ""
    assert sorted(index.state()) == sorted(f"good-{number}" for number in range(60))
    by_id = {failure.id: failure for failure in failures}
    assert len(by_id) == 9
    for number in (10, 30, 50):
        assert by_id[f"poison-{number}"].reason == errors_pb2.ERROR_REASON_IMAGE_UNREADABLE
        assert by_id[f"poison-{number}"].attempts == 1
        assert by_id[f"fault-{number}"].reason == errors_pb2.ERROR_REASON_INTERNAL
        assert by_id[f"fault-{number}"].attempts == 3
        assert by_id[f"crash-{number}"].attempts == 3
        assert "3 times" in by_id[f"crash-{number}"].message
    tried = [picture for picture in embedder.calls if picture.startswith(b"crash")]
    alone = [p for p in embedder.together if len(p) == 1 and next(iter(p)).startswith(b"crash")]
    assert len(alone) >= 9
    assert len(tried) <= 12
    assert await client.hlen("{lookalike}:attempts") == 0


async def test_failures_are_paged_newest_first_and_tried_again(
    valkey_server: Valkey, client: Redis
) -> None:
    embedder, index = FakeEmbedder(), FakeIndex()
    async with front_door(valkey_server.url) as door:
        versions = {}
        for number in range(7):
            item_id = f"id-{number}"
            versions[item_id] = await door.submit(
                submission("upload", item_id, f"poison-{number}", "job")
            )
        async with worker(valkey_server.url, embedder, index):
            await drained(door)
            page, token = await door.list_failures("c", 3, "")
            rest, last = await door.list_failures("c", 4, token)
            assert [len(page), len(rest), last] == [3, 4, ""]
            listed = [*page, *rest]
            times = [tuple(map(int, one.failure_id.split("-"))) for one in listed]
            assert times == sorted(times, reverse=True)
            assert {one.id: one.version for one in listed} == versions
            with pytest.raises(PageTokenInvalid):
                await door.list_failures("", 3, token)
            with pytest.raises(InvalidField):
                await door.retry_failures(["nothing"])

            embedder.heal()
            ids = [one.failure_id for one in listed]
            assert await door.retry_failures([*ids, "1-1"]) == (7, ["1-1"])
            await drained(door)
            assert await door.retry_failures(ids[:1]) == (0, ids[:1])
        assert sorted(index.state()) == sorted(versions)
        assert (await door.state()).queue.failures == 0
        events = [event async for event in door.watch("job", "")]
        assert len(events) == 14
        assert events[-1].remaining == 0
    assert await client.get("{lookalike}:dead-bytes") == b"0"
    assert await client.zcard("{lookalike}:versions:" + "0" * 32) == 0


async def test_old_failures_are_forgotten(valkey_server: Valkey, client: Redis) -> None:
    async with front_door(valkey_server.url, failure_retention_s=0.2) as door:
        await door.submit(submission("upload", "a", "poison"))
        async with worker(valkey_server.url, FakeEmbedder(), FakeIndex()):
            await drained(door)
        state = await door.state()
        assert state.queue.failures == 1
        assert await door._failures.forget_old(state.queue.now_ms + 1000) == 1
        assert (await door.state()).queue.failures == 0
    left = set(await client.keys("*dead*"))
    assert left == {b"{lookalike}:dead", b"{lookalike}:dead-bytes"}
    assert await client.get("{lookalike}:dead-bytes") == b"0"


async def test_past_the_bound_a_failure_is_listed_without_its_image(
    valkey_server: Valkey, client: Redis
) -> None:
    async with front_door(valkey_server.url) as door:
        for number in range(3):
            await door.submit(submission("upload", f"id-{number}", "poison" * 500))
        async with worker(valkey_server.url, FakeEmbedder(), FakeIndex(), max_dead_bytes=2 * 6_500):
            await drained(door)
        failures, _ = await door.list_failures("", 10, "")
        assert len(failures) == 3
        retried, missing = await door.retry_failures([one.failure_id for one in failures])
        assert retried == 2
        assert len(missing) == 1


async def test_an_unreadable_entry_is_listed(valkey_server: Valkey, client: Redis) -> None:
    async with front_door(valkey_server.url) as door:
        await client.xadd("{lookalike}:queue", {"k": "what", "n": "7"})
        await door.submit(submission("upload", "a", "picture"))
        index = FakeIndex()
        async with worker(valkey_server.url, FakeEmbedder(), index):
            await drained(door)
        failures, _ = await door.list_failures("", 10, "")
        assert [one.message for one in failures] == [
            "the queue entry cannot be read: submit the image again"
        ]
        assert sorted(index.state()) == ["a"]


async def test_listing_an_unknown_collection_says_so(valkey_server: Valkey, client: Redis) -> None:
    class Empty:
        def find(self, name: str, field: str = "collection") -> object:
            raise NotFound("there is none", reason=Reason.COLLECTION_NOT_FOUND)

        def collections(self) -> list[object]:
            return []

    async with front_door(valkey_server.url, Empty()) as door:
        with pytest.raises(NotFound):
            await door.list_failures("nix", 10, "")


async def test_a_picture_that_is_sent_again_under_its_version_is_listed_once_with_its_tries(
    valkey_server: Valkey, client: Redis
) -> None:
    """As by those who fill a collection from another, run after run."""
    embedder, catalog = FakeEmbedder(), FakeCatalog()
    async with front_door(valkey_server.url, catalog) as door:
        version = await door.submit(submission("upload", "a", "poison"))
        queued = QueuedMutation(
            "0" * 32, "a", Kind.UPLOAD, version, 0, model_fingerprint=FINGERPRINT, image=b"poison"
        )
        shard = catalog.find("c").shard
        async with worker(valkey_server.url, embedder, FakeIndex()):
            for tries in (1, 2, 3):
                if tries > 1:
                    await door.copies.put(shard, queued)
                await drained(door)
                (failure,), _ = await door.list_failures("", 10, "")
                assert (failure.version, failure.attempts) == (version, tries)
                assert await client.zcard("{lookalike}:versions:" + "0" * 32) == 1
            embedder.heal()
            await door.copies.put(shard, queued)
            await drained(door)
            assert await door.list_failures("", 10, "") == ([], "")
        assert (await door.state()).queue.failures == 0
    assert await client.get("{lookalike}:dead-bytes") == b"0"
    assert await client.zcard("{lookalike}:versions:" + "0" * 32) == 0
