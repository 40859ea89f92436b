"""embed.5 and embed.6: ten times too much, callers that leave, deadlines that pass."""

from __future__ import annotations

import asyncio
import random
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lookalike.v1 import embedder_pb2 as pb
from lookalike.v1 import embedder_pb2_grpc, errors_pb2
from tests.bench.embed import images
from tests.bench.embed.load import in_process
from tests.bench.embed.run import Run
from tests.integration.embedder_process import EmbedderProcess

GOODPUT = (
    "10 x overload for 60 s: calls answered in time per second over the closed-loop peak,"
    " the mean of before and after"
)
UNNOTICED = (
    "accepted calls that miss their deadline unnoticed: answered OK later than the deadline by"
    " the caller's clock, with no allowance"
)
REFUSALS = "refusals without RESOURCE_EXHAUSTED and RetryInfo"
CANCELLED = "share of cancelled calls that were embedded"
GROWTH = "memory growth over the cancelled calls"
EXPIRED = (
    "images whose deadline passed in the bulk queue behind a runner that queries keep busy, and"
    " that reached inference all the same"
)
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
_MB = 1e6
# Longer than what admission expects of so short a queue, and shorter than the queue takes while
# queries have three quarters of the runner.
_EXPIRING_MS = (150, 450)
_EXPIRING_IN_FLIGHT = 8
_INFERRED = "lookalike_embedder_batch_images_sum"
_EMBEDDED = "lookalike_embedder_images_total"
_OVERTAKEN = "lookalike_embedder_overtaken_images_total"
_METHOD = "/lookalike.v1.EmbedderService/EmbedImage"


def overload(run: Run) -> None:
    """Closed loop for the peak, then an open loop at ten times that rate, then the peak again."""
    with run.server() as server:
        first = asyncio.run(_peak(server, run.seconds(15)))
        before = server.resident_bytes()
        outcomes, elapsed = asyncio.run(_open(server, first * _OVERLOAD, run.seconds(60)))
        growth = (server.resident_bytes() - before) / _MB
        last = asyncio.run(_peak(server, run.seconds(15)))
    rate, peak = outcomes["ok"] / elapsed, (first + last) / 2
    detail = f" ({rate:.1f} / {peak:.1f}, of {first:.1f} and {last:.1f}; {dict(outcomes)})"
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
    """Every image in a batch must be one that was answered, or overtaken in the network."""
    calls = run.count(1_000)
    before = _unanswered(server)
    load = in_process(server.target, "jpeg", "query", run.seconds(90))
    time.sleep(run.seconds(90) * 0.1)
    seen = asyncio.run(_expiring(server, calls, run.seconds(70)))
    load.result()
    expired = seen["expired"]
    if expired < calls:
        raise AssertionError(f"only {expired} of {calls} deadlines passed in time")
    detail = f" (of {expired}; {seen['answered']} others were in time, {seen['refused']} refused)"
    run.report.equals("embed.6c", EXPIRED + detail, _unanswered(server) - before, "calls", 0)


def _unanswered(server: EmbedderProcess) -> float:
    """Return how many images were inferred for nobody, save those overtaken meanwhile."""
    inferred, embedded = counted(server, _INFERRED), counted(server, _EMBEDDED)
    return inferred - embedded - counted(server, _OVERTAKEN)


class _Caller:
    """Calls that cost the measuring process little: files go out as they were packed once."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call: Any = channel.unary_unary(_METHOD)  # bytes to bytes
        self._requests = [
            pb.EmbedImageRequest(encoded=data).SerializeToString() for data in images.jpegs()
        ]

    async def outcome(self, number: int) -> str:
        """Send one image with a deadline and return how it ended."""
        request = self._requests[number % len(self._requests)]
        started = time.perf_counter()
        try:
            await self._call(request, timeout=_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return "deadline exceeded"
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                return "other"
            return "refused" if _has_delay(error) else "refused without a delay"
        return "late" if time.perf_counter() - started > _DEADLINE_S else "ok"


async def _peak(server: EmbedderProcess, seconds: float) -> float:
    """Return the answers a second of 16 callers that wait for each answer."""
    answered = 0
    started = time.perf_counter()
    async with server.aio_channel() as channel:
        caller = _Caller(channel)

        async def work(number: int) -> None:
            nonlocal answered
            while time.perf_counter() - started < seconds:
                if await caller.outcome(number) == "ok":
                    answered += 1
                number += 1

        await asyncio.gather(*(work(number) for number in range(16)))
    return answered / (time.perf_counter() - started)


async def _open(
    server: EmbedderProcess, calls_per_s: float, seconds: float
) -> tuple[Counter[str], float]:
    """Send on time whatever comes back."""
    outcomes: Counter[str] = Counter()
    async with server.aio_channel() as channel, asyncio.TaskGroup() as group:
        caller = _Caller(channel)

        async def one(number: int) -> None:
            outcomes[await caller.outcome(number)] += 1

        started = time.perf_counter()
        sent = 0
        while (elapsed := time.perf_counter() - started) < seconds:
            while sent < elapsed * calls_per_s:
                group.create_task(one(sent))
                sent += 1
            await asyncio.sleep(0.005)
    return outcomes, time.perf_counter() - started


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


async def _expiring(server: EmbedderProcess, calls: int, seconds: float) -> Counter[str]:
    """Send bulk images with short deadlines until `calls` have expired in the queue."""
    files = images.jpegs()
    random_ = random.Random(0)
    places = asyncio.Semaphore(_EXPIRING_IN_FLIGHT)
    seen: Counter[str] = Counter()
    until = time.perf_counter() + seconds

    async def requests() -> AsyncIterator[pb.EmbedImagesRequest]:
        number = 0
        while seen["expired"] < calls and time.perf_counter() < until:
            await places.acquire()
            yield pb.EmbedImagesRequest(
                request_id=number,
                encoded=files[number % len(files)],
                lane=pb.LANE_BULK,
                timeout_ms=random_.randint(*_EXPIRING_MS),
            )
            number += 1

    async with server.aio_channel() as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        async for answer in stub.EmbedImages(requests()):
            places.release()
            kind = _KINDS.get(answer.error.reason, "other")
            seen["answered" if answer.HasField("embedding") else kind] += 1
    return seen


_KINDS = {
    errors_pb2.ERROR_REASON_DEADLINE_EXCEEDED: "expired",
    errors_pb2.ERROR_REASON_OVERLOADED: "refused",
}


def counted(server: EmbedderProcess, name: str) -> float:
    """Return the sum of the metrics whose name starts with `name`."""
    url = f"http://127.0.0.1:{server.announced['metrics_port']}/metrics"
    with urllib.request.urlopen(url) as page:
        lines = page.read().decode().splitlines()
    samples = [line for line in lines if line.startswith(name) and "_created" not in line]
    return sum(float(line.rpartition(" ")[2]) for line in samples)
