"""Runs that the short suite and the long one share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from lookalike.serving.queue.keys import QueueKeys
from tests.integration.ingest.model import FakeEmbedder, FakeIndex, expected, random_operations
from tests.integration.ingest.rig import RunningWorker, drained, front_door, submission

# More at once keep one core no busier; they only wait longer, and polls cost most.
_AT_ONCE = 3
# A worker is taken for dead so soon that a busy loop makes it happen to living
# ones too: the more interleavings.
_HASTY: dict[str, Any] = {"claim_idle_s": 0.2, "heartbeat_s": 0.06, "grace_s": 1.0}


def interleavings(url: str, seeds: Sequence[int]) -> int:
    """Run the interleavings of `seeds`, a few at a time; return how many."""

    async def all_of_them() -> None:
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(seed: int) -> None:
            async with places:
                await interleaving(url, seed)

        async with asyncio.TaskGroup() as group:
            for seed in seeds:
                group.create_task(one(seed))

    asyncio.run(all_of_them())
    return len(seeds)


async def interleaving(url: str, seed: int, *, operations: int = 60) -> None:
    """Run seeded operations over 50 ids with 4 workers of random pace, of which
    two die on the way, and hold the final state against the model's."""
    source = random.Random(seed)
    planned = random_operations(source, operations, 50)
    prefix = f"seed-{seed}"
    embedder = FakeEmbedder(lambda: source.choice([0.0, 0.0, 0.003, 0.01]))
    index = FakeIndex(lambda: source.choice([0.0, 0.0, 0.002, 0.008]))

    def new_worker(number: int) -> RunningWorker:
        return RunningWorker(
            url, embedder, index, f"w{number}", key_prefix=prefix, prefetch_items=8, **_HASTY
        )

    workers = [new_worker(number) for number in range(4)]
    async with front_door(url, key_prefix=prefix) as door:
        for running in workers:
            await running.start()

        async def submit() -> None:
            for kind, item_id, value in planned:
                await door.submit(submission(kind, item_id, value))
                if source.random() < 0.2:
                    await asyncio.sleep(source.random() * 0.01)

        submitting = asyncio.create_task(submit())
        for number in source.sample(range(4), 2):
            await asyncio.sleep(source.random() * 0.08)
            await workers[number].die()
            workers[number] = new_worker(number if source.random() < 0.5 else number + 4)
            await workers[number].start()
        await submitting
        await drained(door)
        failures, _ = await door.list_failures("", 100, "")
        # Not in order: each would wait for its read to end, and poll meanwhile.
        await asyncio.gather(*(running.die() for running in workers))
    assert failures == [], f"seed {seed}"
    assert index.state() == expected(planned), f"seed {seed}"


async def thrice_shuffled(url: str, client: Redis, seed: int, *, operations: int) -> None:
    """Deliver every message three times in shuffled order to two workers."""
    source = random.Random(seed)
    planned = random_operations(source, operations, max(10, operations // 20))
    keys = QueueKeys(f"thrice-{seed}")
    index = FakeIndex(lambda: source.choice([0.0, 0.001]))
    async with front_door(url, key_prefix=keys.prefix) as door:
        await asyncio.gather(*(door.submit(submission(*one)) for one in planned))
        rows: Any = await client.xrange(keys.stream)
        assert len(rows) == operations
        await client.xtrim(keys.stream, 0, approximate=False)
        copies = [fields for _, fields in rows] * 3
        source.shuffle(copies)
        for fields in copies:
            await client.xadd(keys.stream, fields)
        workers = [
            RunningWorker(url, FakeEmbedder(), index, f"w{n}", key_prefix=keys.prefix)
            for n in range(2)
        ]
        for running in workers:
            await running.start()
        await drained(door, 120.0)
        await asyncio.gather(*(running.stop() for running in workers))
    assert index.state() == expected(planned), f"seed {seed}"
    assert sum(running.stats.finished for running in workers) == 3 * operations
