"""The pool outlives its processes, whatever they are fed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedder_service import settings, wiring
from embedder_service.decode.facts import ImageFacts
from embedder_service.decode.pool import DecodeJob, DecodePool, PixelBudget, PoolOptions, Source
from embedder_service.lanes import Lane
from embedder_service.preprocess import U8, Preprocess
from lookalike.wire.errors import (
    Exhausted,
    ImageTooLarge,
    ImageUnreadable,
    LookalikeError,
    Unavailable,
)
from tests.hostile.files import encoded, hostile_files, photo
from tests.hostile.raw import dng, sensor

PREPROCESS = Preprocess(64, 0.875, "bicubic", (0.0,) * 3, (1.0,) * 3)
GOOD = encoded(photo(random.Random(0), 120, 90), "JPEG")
# Noise without loss: some tenths of a second of work.
SLOW = encoded(Image.effect_noise((1500, 1500), 90).convert("RGB"), "WEBP", lossless=True, method=0)


class Seen:
    def __init__(self) -> None:
        self.events: Counter[str] = Counter()

    def decoded(self, seconds: float, facts: ImageFacts) -> None:
        self.events["decoded"] += 1

    def decode_failed(self, cause: str) -> None:
        self.events[cause] += 1

    def process_restarted(self) -> None:
        self.events["restarted"] += 1


def pool_options(**changes: Any) -> PoolOptions:
    return wiring.pool_options(replace(settings.load([], {}), **changes))


@dataclass(frozen=True)
class Decoded:
    pixels: U8
    facts: ImageFacts


async def decode(
    pool: DecodePool, data: bytes, width: int = 0, height: int = 0, thumbnail_side_px: int = 0
) -> Decoded:
    job = DecodeJob(Source(data, width, height), PREPROCESS, thumbnail_side_px)
    decoded = await pool.decode(job, Lane.QUERY, None)
    return Decoded(decoded.pixels, await decoded.facts)


@pytest.fixture
async def pools() -> AsyncIterator[list[DecodePool]]:
    made: list[DecodePool] = []
    yield made
    for pool in made:
        await pool.close()


async def test_decodes_files_and_raw_pixels(pools: list[DecodePool]) -> None:
    pools.append(pool := DecodePool(pool_options(thumbnail_side_px=32), Seen()))
    await pool.start()
    decoded = await decode(pool, GOOD)
    assert decoded.pixels.shape == (64, 64, 3)
    assert (decoded.facts.width_px, decoded.facts.height_px) == (120, 90)
    assert decoded.facts.format == "JPEG"
    assert decoded.facts.size_bytes == len(GOOD)
    assert decoded.facts.thumbnail_webp[8:12] == b"WEBP"
    asked = await decode(pool, GOOD, thumbnail_side_px=60)
    assert Image.open(io.BytesIO(asked.facts.thumbnail_webp)).size == (60, 45)
    raw = Image.new("RGB", (80, 70), (1, 2, 3))
    plain = await decode(pool, raw.tobytes(), 80, 70)
    assert plain.pixels.reshape(-1, 3).tolist() == [[1, 2, 3]] * (64 * 64)
    assert plain.facts.format == "RAW"


async def test_raw_files_of_cameras_and_damaged_ones_besides(pools: list[DecodePool]) -> None:
    pools.append(pool := DecodePool(pool_options(decode_processes=1), Seen()))
    await pool.start()
    whole = dng(sensor(1_000, 700, (60_000, 9_000, 3_000)), None)
    chance = random.Random(4)
    for _ in range(15):
        hurt = bytearray(whole)
        for _ in range(3):
            hurt[chance.randrange(500)] = chance.randrange(256)
        with contextlib.suppress(ImageUnreadable, ImageTooLarge):
            await decode(pool, bytes(hurt))

    decoded = await decode(pool, whole)

    facts = decoded.facts
    assert (facts.width_px, facts.height_px, facts.format) == (500, 350, "CAMERA_RAW")
    assert decoded.pixels[32, 32, 0] > 2 * int(decoded.pixels[32, 32, 1])


async def test_a_killed_process_costs_no_image(pools: list[DecodePool]) -> None:
    seen = Seen()
    pools.append(
        pool := DecodePool(pool_options(decode_processes=1, decode_timeout_ms=30000), seen)
    )
    await pool.start()
    (pid,) = pool.process_ids
    doomed = asyncio.create_task(decode(pool, SLOW))
    waiting = asyncio.create_task(decode(pool, GOOD))
    await asyncio.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    assert (await doomed).facts.width_px == 1500
    assert (await waiting).facts.width_px == 120
    assert pool.process_ids != [pid]
    assert seen.events["killed"] == seen.events["restarted"] == 1


async def test_a_slow_image_is_given_up(pools: list[DecodePool]) -> None:
    seen = Seen()
    pools.append(pool := DecodePool(pool_options(decode_processes=1, decode_timeout_ms=20), seen))
    await pool.start()
    with pytest.raises(ImageTooLarge, match=r"20 ms of CPU time .*decode_timeout_ms"):
        await decode(pool, SLOW)
    assert seen.events["timeout"] == 1


async def test_a_machine_without_time_is_no_verdict_on_the_image(pools: list[DecodePool]) -> None:
    seen = Seen()
    pools.append(pool := DecodePool(pool_options(decode_processes=1, decode_timeout_ms=20), seen))
    await pool.start()
    os.kill(pool.process_ids[0], signal.SIGSTOP)
    with pytest.raises(Exhausted) as busy:
        await decode(pool, GOOD)
    assert busy.value.retryable
    assert seen.events["clock"] == seen.events["restarted"] == 1
    assert (await decode(pool, GOOD)).facts.width_px == 120


async def test_a_crash_in_a_decoder_is_the_fault_of_the_image(pools: list[DecodePool]) -> None:
    seen = Seen()
    pools.append(
        pool := DecodePool(pool_options(decode_processes=1, decode_timeout_ms=30000), seen)
    )
    await pool.start()
    doomed = asyncio.create_task(decode(pool, SLOW))
    await asyncio.sleep(0.02)
    os.kill(pool.process_ids[0], signal.SIGSEGV)
    with pytest.raises(ImageUnreadable):
        await doomed
    assert seen.events["crash"] == seen.events["restarted"] == 1


async def test_what_the_limits_admit_is_decoded(pools: list[DecodePool]) -> None:
    seen = Seen()
    pools.append(pool := DecodePool(pool_options(), seen))
    await pool.start()
    side = 7071
    deep = Image.fromarray(np.tile(np.arange(4096, dtype=np.uint16), (side, 2))[:, :side])
    colours = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    files = [
        encoded(deep, "PNG", compress_level=1),
        encoded(colours, "JPEG", progressive=True),
        encoded(colours, "WEBP", method=0),
        encoded(colours.convert("L").convert("F"), "TIFF", compression="tiff_lzw"),
    ]
    for decoded in await asyncio.gather(*(decode(pool, data) for data in files)):
        assert decoded.facts.width_px == side
        assert not decoded.facts.blank


async def test_marks_reach_the_facts(pools: list[DecodePool]) -> None:
    pools.append(pool := DecodePool(pool_options(decode_processes=1), Seen()))
    await pool.start()
    facts = [
        (await decode(pool, data)).facts
        for data in (GOOD, GOOD[:-2], encoded(Image.new("RGB", (90, 80)), "PNG"))
    ]
    assert [each.truncated for each in facts] == [False, True, False]
    assert [each.blank for each in facts] == [False, False, True]


async def test_an_image_that_needs_too_much_memory_is_refused(pools: list[DecodePool]) -> None:
    pools.append(
        pool := DecodePool(pool_options(decode_processes=1, decode_memory_mib=256), Seen())
    )
    await pool.start()
    huge = encoded(Image.new("RGBA", (7000, 7000)), "TIFF", compression="tiff_deflate")
    with pytest.raises(ImageTooLarge, match="memory"):
        await decode(pool, huge)
    assert (await decode(pool, GOOD)).facts.width_px == 120


async def test_processes_end_with_the_pool() -> None:
    pool = DecodePool(pool_options(), Seen())
    await pool.start()
    pids = pool.process_ids
    waiting = asyncio.create_task(decode(pool, GOOD))
    await asyncio.sleep(0)
    await pool.close()
    results = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(results[0], Unavailable | Decoded)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_large_pictures_share_a_budget() -> None:
    budget = PixelBudget(100)
    inside = most = 0

    async def hold(pixels: int) -> None:
        nonlocal inside, most
        async with budget.lease(pixels):
            inside += pixels
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= pixels

    await asyncio.gather(*(hold(pixels) for pixels in (60, 60, 30, 40, 100, 5)))
    assert most == 100
    await hold(90)


async def test_leave_is_given_to_large_pictures(pools: list[DecodePool]) -> None:
    options = pool_options(decode_processes=2, max_pixels_in_flight=1000)
    pools.append(pool := DecodePool(options, Seen()))
    await pool.start()
    decoded = await asyncio.gather(*(decode(pool, GOOD) for _ in range(6)))
    assert len(decoded) == 6


async def test_hostile_files_give_an_answer_each(pools: list[DecodePool]) -> None:
    seen = Seen()
    pools.append(pool := DecodePool(pool_options(), seen))
    await pool.start()
    files = [data for _, data in hostile_files(250, seed=7) if data]
    outcomes = await asyncio.gather(*(decode(pool, data) for data in files), return_exceptions=True)
    assert not [o for o in outcomes if not isinstance(o, LookalikeError | Decoded)]
    assert Counter(type(o) for o in outcomes)[Decoded] > 20
    assert (await decode(pool, GOOD)).facts.width_px == 120
