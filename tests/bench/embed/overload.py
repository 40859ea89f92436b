"""embed.5 and embed.6: ten times too much, callers that leave, deadlines that pass."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections import Counter

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lookalike.v1 import embedder_pb2 as pb
from lookalike.v1 import embedder_pb2_grpc
from tests.bench.embed import images
from tests.bench.embed.load import in_process
from tests.bench.embed.run import Run
from tests.integration.embedder_process import EmbedderProcess

GOODPUT = "10 x overload: calls answered in time per second over the closed-loop peak"
UNNOTICED = "accepted calls that miss their deadline unnoticed"
REFUSALS = "refusals without RESOURCE_EXHAUSTED and RetryInfo"
CANCELLED = "share of cancelled calls that were embedded"
GROWTH = "memory growth over the cancelled calls"
EXPIRED = "expired deadlines that reached inference"
EXPECTED_OVERLOAD = (
    ("embed.5a", GOODPUT, "ratio", ">= 0.8"),
    ("embed.5b", UNNOTICED, "calls", "= 0"),
)
EXPECTED_CANCELLED = (
    ("embed.6a", CANCELLED, "share", "<= 0.01"),
    ("embed.6b", GROWTH, "MB", "<= 20"),
    ("embed.6c", EXPIRED, "calls", "= 0"),
)
_DEADLINE_S = 1.0
_OVERLOAD = 10
# gRPC gives no answer after the deadline; this much later the busy measuring loop
# itself may come to read one.
_OWN_DELAY_S = 0.1
_MB = 1e6
_INFERRED = "lookalike_embedder_batch_images_sum"
_EMBEDDED = "lookalike_embedder_images_total"


def overload(run: Run) -> None:
    """Closed loop for the peak, then an open loop at ten times that rate."""
    with run.server() as server:
        peak_outcomes, peak_s = asyncio.run(_closed(server, run.seconds(15)))
        peak = peak_outcomes["ok"] / peak_s
        before = server.resident_bytes()
        outcomes, elapsed = asyncio.run(_open(server, peak * _OVERLOAD, run.seconds(60)))
        growth = (server.resident_bytes() - before) / _MB
    rate = outcomes["ok"] / elapsed
    detail = f" ({rate:.1f} / {peak:.1f}; {dict(outcomes)})"
    run.report.at_least("embed.5a", GOODPUT + detail, rate / peak, "ratio", 0.8)
    run.report.equals("embed.5b", UNNOTICED, outcomes["late"], "calls", 0)
    bad = outcomes["refused without a delay"] + outcomes["other"]
    run.report.equals("embed.5c", REFUSALS, bad, "calls", 0)
    run.report.stated("embed.5d", "memory growth over the overload", growth, "MB")


def cancelled(run: Run) -> None:
    """Cancel calls soon after sending them; then send calls that cannot be in time."""
    calls = run.count(10_000)
    with run.server() as server:
        asyncio.run(_cancel(server, calls // 10))  # what pools and arenas take once
        before, inferred = server.resident_bytes(), counted(server, _INFERRED)
        asyncio.run(_cancel(server, calls))
        # One call at the end was not cancelled.
        share = (counted(server, _INFERRED) - inferred - 1) / calls
        growth = (server.resident_bytes() - before) / _MB
        run.report.at_most("embed.6a", f"{CANCELLED} (of {calls})", share, "share", 0.01)
        run.report.at_most("embed.6b", GROWTH, growth, "MB", 20)
        _expire(run, server)


def _expire(run: Run, server: EmbedderProcess) -> None:
    """Beside a bulk load, every image in a batch must be one that was answered."""
    calls = run.count(1_000)
    inferred, embedded = counted(server, _INFERRED), counted(server, _EMBEDDED)
    load = in_process(server.target, "jpeg", "bulk", run.seconds(30))
    time.sleep(run.seconds(30) * 0.2)
    answered = asyncio.run(_too_late(server, calls))
    load.result()
    inferred = counted(server, _INFERRED) - inferred
    embedded = counted(server, _EMBEDDED) - embedded
    detail = f" (of {calls}; {answered} were answered in time)"
    run.report.equals("embed.6c", EXPIRED + detail, inferred - embedded, "calls", 0)


async def _closed(server: EmbedderProcess, seconds: float) -> tuple[Counter[str], float]:
    outcomes: Counter[str] = Counter()
    files = images.jpegs()
    started = time.perf_counter()
    async with server.aio_channel() as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)

        async def caller(number: int) -> None:
            while time.perf_counter() - started < seconds:
                outcomes[await _outcome(stub, files[number % len(files)])] += 1
                number += 1

        await asyncio.gather(*(caller(number) for number in range(16)))
    return outcomes, time.perf_counter() - started


async def _open(
    server: EmbedderProcess, calls_per_s: float, seconds: float
) -> tuple[Counter[str], float]:
    """Send on time whatever comes back."""
    outcomes: Counter[str] = Counter()
    files = images.jpegs()
    async with server.aio_channel() as channel, asyncio.TaskGroup() as group:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)

        async def one(data: bytes) -> None:
            outcomes[await _outcome(stub, data)] += 1

        started = time.perf_counter()
        sent = 0
        while (elapsed := time.perf_counter() - started) < seconds:
            while sent < elapsed * calls_per_s:
                group.create_task(one(files[sent % len(files)]))
                sent += 1
            await asyncio.sleep(0.005)
    return outcomes, time.perf_counter() - started


async def _outcome(stub: embedder_pb2_grpc.EmbedderServiceAsyncStub, data: bytes) -> str:
    started = time.perf_counter()
    try:
        await stub.EmbedImage(pb.EmbedImageRequest(encoded=data), timeout=_DEADLINE_S)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return "deadline exceeded"
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            return "other"
        return "refused" if _has_delay(error) else "refused without a delay"
    late = time.perf_counter() - started > _DEADLINE_S + _OWN_DELAY_S
    return "late" if late else "ok"


def _has_delay(error: grpc.aio.AioRpcError) -> bool:
    status = rpc_status.from_call(error)
    retry = error_details_pb2.RetryInfo()
    return status is not None and any(detail.Unpack(retry) for detail in status.details)


async def _cancel(server: EmbedderProcess, calls: int) -> None:
    """Send waves of a hundred and cancel each before a batch could be done."""
    files = images.jpegs()
    async with server.aio_channel() as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        for first in range(0, calls, 100):
            wave = [
                stub.EmbedImage(pb.EmbedImageRequest(encoded=files[n % len(files)]))
                for n in range(first, min(first + 100, calls))
            ]
            await asyncio.sleep(0)
            for call in wave:
                call.cancel()
            await asyncio.gather(*wave, return_exceptions=True)
        # An answer here means that what came before it has left the server.
        await stub.EmbedImage(pb.EmbedImageRequest(encoded=files[0]))


async def _too_late(server: EmbedderProcess, calls: int) -> int:
    """Send images that expire while they wait; return how many were answered."""
    files = images.jpegs()
    requests = [
        pb.EmbedImagesRequest(
            request_id=n, encoded=files[n % len(files)], lane=pb.LANE_BULK, timeout_ms=1
        )
        for n in range(calls)
    ]
    async with server.aio_channel() as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        answers = [answer async for answer in stub.EmbedImages(iter(requests))]
    return sum(answer.HasField("embedding") for answer in answers)


def counted(server: EmbedderProcess, name: str) -> float:
    """Return the sum of the metrics whose name starts with `name`."""
    url = f"http://127.0.0.1:{server.announced['metrics_port']}/metrics"
    with urllib.request.urlopen(url) as page:
        lines = page.read().decode().splitlines()
    samples = [line for line in lines if line.startswith(name) and "_created" not in line]
    return sum(float(line.rpartition(" ")[2]) for line in samples)
