"""The long runs of ingestion; their small sisters stand in tests/integration/ingest."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from redis.asyncio import Redis

from lookalike.v1 import ingest_pb2
from tests.integration.ingest.caller import caller
from tests.integration.ingest.scenarios import interleavings, thrice_shuffled
from tests.integration.ingest.storm import storm
from tests.integration.ingest.system import System
from tests.integration.ingest.valkey import Valkey

pytestmark = pytest.mark.chaos

_INTERLEAVINGS = 10_000
_PART = 2_500
_SLICE = 125
_AWAY_S = 150.0
# Of the worker: the longest of the three, and the time that the others are given.
_GRACE_S = 20.0


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path, stub_delay_s=0.002)
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path, "--appendonly", "no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey.url, protocol=2)
    yield client
    await client.aclose()


@pytest.mark.timeout(3600)
async def test_twenty_kills_of_each_during_twenty_thousand_submissions(system: System) -> None:
    report = await storm(system, 20_000, 3_000, kills=20, stops=0)
    assert report.failures == []
    assert report.got == report.wanted


@pytest.mark.timeout(3600)
async def test_twenty_orderly_stops_of_each_under_load(system: System) -> None:
    report = await storm(system, 12_000, 2_000, kills=0, stops=20)
    assert set(report.exit_codes) == {0}
    assert max(report.stop_times_s) < _GRACE_S
    assert report.failures == []
    assert report.hard_errors == []
    assert report.got == report.wanted


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first_seed", range(0, _INTERLEAVINGS, _PART))
def test_ten_thousand_interleavings(valkey: Valkey, first_seed: int) -> None:
    seeds = range(first_seed, first_seed + _PART)
    slices = [seeds[start : start + _SLICE] for start in range(0, _PART, _SLICE)]
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        done = sum(pool.map(functools.partial(interleavings, valkey.url), slices))
    assert done == _PART


@pytest.mark.timeout(1800)
async def test_twenty_thousand_messages_thrice_in_shuffled_order(
    valkey: Valkey, client: Redis
) -> None:
    for seed in range(20):
        await thrice_shuffled(valkey.url, client, seed, operations=1_000)


@pytest.mark.timeout(1800)
async def test_one_percent_poison_delays_the_others_at_most_twice(system: System) -> None:
    async def run(job_id: str, poison_every: int) -> float:
        start_s = time.monotonic()
        async with caller(system.search_address) as one:
            one.job_id = job_id
            operations = [
                (
                    "upload",
                    f"{job_id}-{number}",
                    "poison" if poison_every and number % poison_every == 0 else f"{number}",
                )
                for number in range(5_000)
            ]
            await one.submit(operations)
            await one.drained(600.0)
        return time.monotonic() - start_s

    async with caller(system.search_address) as one:
        await one.create()
        clean_s = await run("clean", 0)
        poisoned_s = await run("poisoned", 100)
        failures = await one.ingest.ListFailures(ingest_pb2.ListFailuresRequest(page_size=1000))
        assert len(failures.failures) == 50
        assert len(await one.items()) == 10_000 - 50
    assert poisoned_s <= 2 * clean_s


@pytest.mark.timeout(1800)
async def test_an_embedder_away_for_minutes(system: System) -> None:
    async with caller(system.search_address) as one:
        await one.create()
        system.embedder.kill()
        await one.submit([("upload", f"id-{number}", f"{number}") for number in range(2_000)])
        await asyncio.sleep(_AWAY_S)
        client = Redis.from_url(system.valkey.url, protocol=2)
        pending = await client.xpending_range("{lookalike}:queue", "workers", "-", "+", 5_000)
        attempts = await client.hlen("{lookalike}:attempts")
        await client.aclose()
        assert {row["times_delivered"] for row in pending} <= {1}
        assert attempts == 0
        await asyncio.to_thread(system.embedder.start)
        await one.drained(120.0)
        assert len(await one.items()) == 2_000
