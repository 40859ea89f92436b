"""The last accepted mutation of an id wins, whatever the order of delivery."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from tests.integration.ingest.scenarios import interleaving, thrice_shuffled
from tests.integration.ingest.valkey import Valkey

# `tests/chaos` runs 10,000.
SEEDS = 40
_AT_ONCE = 10


async def test_seeded_interleavings_end_as_the_model(valkey_server: Valkey, client: Redis) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(seed: int) -> None:
        async with places:
            await interleaving(valkey_server.url, seed)

    async with asyncio.TaskGroup() as group:
        for seed in range(SEEDS):
            group.create_task(one(seed))


async def test_every_message_thrice_in_shuffled_order(valkey_server: Valkey, client: Redis) -> None:
    for seed in range(2):
        await thrice_shuffled(valkey_server.url, client, seed, operations=200)
