"""embed.3 and embed.4: one image on an idle server, and queries beside bulk work."""

from __future__ import annotations

import asyncio
import random
import time

from lookalike.v1 import embedder_pb2 as pb
from lookalike.v1 import embedder_pb2_grpc
from tests.bench.embed import images
from tests.bench.embed.bare import BareLoop
from tests.bench.embed.load import in_process
from tests.bench.embed.run import Run
from tests.bench.report import median, percentile
from tests.integration.embedder_process import EmbedderProcess

IDLE = "added latency of one image on an idle server over decode + forward, median"
QUERY = "p99 of a query while a bulk stream of 260-px JPEGs saturates the server"
BULK = "bulk images/s beside the queries over bulk alone"
EXPECTED_IDLE = (("embed.3", IDLE, "ms", "<= 3"),)
EXPECTED_LANES = (
    ("embed.4a", QUERY, "ms", "<= 100"),
    ("embed.4b", BULK, "ratio", ">= 0.9"),
)

# Two queries a second: enough for a p99 in two minutes, and 4 % of what the CPU
# can embed, so that the bulk rate is measured rather than displaced.
_QUERIES_PER_S = 2.0


def idle(run: Run) -> None:
    """Alternate between the server and the bare functions, image by image."""
    loop = BareLoop(run.precision)
    files = images.jpegs()
    rounds = max(2, run.count(10) // 10)
    with run.server() as server:
        channel, stub = server.sync_stub()
        with channel:
            added, bare = [], []
            for _ in range(rounds):
                bare += loop.decode_and_forward_s()
                added += [_timed(stub, data) for data in files]
    inside, through = median(bare) * 1e3, median(added) * 1e3
    detail = f" ({through:.1f} ms over {inside:.1f} ms)"
    run.report.at_most("embed.3", IDLE + detail, through - inside, "ms", 3)


def lanes(run: Run) -> None:
    """Bulk alone, bulk with queries, bulk alone again."""
    seconds = run.seconds(120)
    with run.server() as server:
        before = in_process(server.target, "jpeg", "bulk", seconds / 4).result()
        load = in_process(server.target, "jpeg", "bulk", seconds)
        times = asyncio.run(_queries(server, seconds))
        beside = load.result()
        after = in_process(server.target, "jpeg", "bulk", seconds / 4).result()
    alone = (before + after) / 2
    detail = f" ({len(times)} queries, p50 {percentile(times, 50) * 1e3:.0f} ms)"
    run.report.at_most("embed.4a", QUERY + detail, percentile(times, 99) * 1e3, "ms", 100)
    detail = f" ({beside:.1f} / {alone:.1f})"
    run.report.at_least("embed.4b", BULK + detail, beside / alone, "ratio", 0.9)


async def _queries(server: EmbedderProcess, seconds: float) -> list[float]:
    """Send queries at random times through the middle of the load."""
    random_ = random.Random(0)
    files = images.jpegs()
    times: list[float] = []
    async with server.aio_channel() as channel, asyncio.TaskGroup() as group:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)

        async def one(data: bytes) -> None:
            started = time.perf_counter()
            await stub.EmbedImage(pb.EmbedImageRequest(encoded=data, lane=pb.LANE_QUERY))
            times.append(time.perf_counter() - started)

        await asyncio.sleep(seconds * 0.15)
        until = time.perf_counter() + seconds * 0.75
        while time.perf_counter() < until:
            group.create_task(one(random_.choice(files)))
            await asyncio.sleep(random_.expovariate(_QUERIES_PER_S))
    return times


def _timed(stub: embedder_pb2_grpc.EmbedderServiceStub, data: bytes) -> float:
    started = time.perf_counter()
    stub.EmbedImage(pb.EmbedImageRequest(encoded=data))
    return time.perf_counter() - started
