"""The last accepted mutation of an id wins, whatever the order of delivery."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from tests.integration.ingest.scenarios import interleavings, thrice_shuffled
from tests.integration.ingest.valkey import Valkey

# `tests/chaos` runs 10,000.
SEEDS = 16


async def test_seeded_interleavings_end_as_the_model(valkey_server: Valkey, client: Redis) -> None:
    assert await asyncio.to_thread(interleavings, valkey_server.url, range(SEEDS)) == SEEDS


async def test_every_message_thrice_in_shuffled_order(valkey_server: Valkey, client: Redis) -> None:
    for seed in range(2):
        await thrice_shuffled(valkey_server.url, client, seed, operations=200)
