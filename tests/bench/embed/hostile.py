"""embed.8: ten thousand hostile files."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.v1 import embedder_pb2 as pb
from lookalike.v1 import embedder_pb2_grpc, errors_pb2
from tests.bench.embed.run import Run
from tests.hostile.files import hostile_files
from tests.integration.embedder_process import EmbedderProcess

CRASHES = "hostile files: crashes of the server, streams ended, health not SERVING"
INTERNAL = "hostile files: INTERNAL answers"
SLOWEST = "hostile files: slowest answer, two in flight"
EXPECTED = (
    ("embed.8a", CRASHES, "crashes", "= 0"),
    ("embed.8b", INTERNAL, "answers", "= 0"),
    ("embed.8c", SLOWEST, "s", "<= 2"),
)
_log = logging.getLogger(__name__)

# One for each decode process, so that no file's time holds another's.
_IN_FLIGHT = 2
_HEALTH_EVERY_S = 0.5


@dataclass
class Seen:
    """What came back."""

    answers: int = 0
    internal: int = 0
    slowest_s: float = 0.0
    slowest_kind: str = ""
    unhealthy: int = 0
    most_bytes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


def measure(run: Run) -> None:
    """Send all files on one stream while watching health and memory."""
    count = run.count(10_000)
    with run.server(models="efficientnet-lite0") as server:
        seen = asyncio.run(_send(server, count))
        alive = server.process.poll() is None
    lost = count - seen.answers + seen.unhealthy + int(not alive)
    detail = f" ({count} files: {dict(seen.outcomes)})"
    run.report.equals("embed.8a", CRASHES + detail, lost, "crashes", 0)
    run.report.equals("embed.8b", INTERNAL, seen.internal, "answers", 0)
    what = f"{SLOWEST} ({seen.slowest_kind})"
    run.report.at_most("embed.8c", what, seen.slowest_s, "s", 2)
    most = seen.most_bytes / 1e6
    run.report.stated("embed.8d", "most memory of server and decode processes", most, "MB")


async def _send(server: EmbedderProcess, count: int) -> Seen:
    seen = Seen()
    sent: dict[int, tuple[str, float]] = {}
    places = asyncio.Semaphore(_IN_FLIGHT)
    files = iter(hostile_files(count, seed=1))

    async def requests() -> AsyncIterator[pb.EmbedImagesRequest]:
        number = 0
        while True:
            try:
                kind, data = next(files)
            except StopIteration:
                return
            except Exception:
                # grpc.aio cancels the call and says nothing of this.
                _log.exception("the generator of hostile files failed")
                raise
            await places.acquire()
            sent[number] = kind, time.perf_counter()
            yield pb.EmbedImagesRequest(request_id=number, encoded=data, lane=pb.LANE_BULK)
            number += 1

    async with server.aio_channel() as channel:
        watcher = asyncio.create_task(_watch(server, health_pb2_grpc.HealthStub(channel), seen))
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        async for answer in stub.EmbedImages(requests()):
            places.release()
            kind, started = sent.pop(answer.request_id)
            _note(seen, answer, kind, time.perf_counter() - started)
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    return seen


def _note(seen: Seen, answer: pb.EmbedImagesResponse, kind: str, seconds: float) -> None:
    seen.answers += 1
    if seconds > seen.slowest_s:
        seen.slowest_s, seen.slowest_kind = seconds, kind
    if answer.HasField("embedding"):
        seen.outcomes["embedded"] += 1
        return
    reason = errors_pb2.ErrorReason.Name(answer.error.reason).removeprefix("ERROR_REASON_")
    seen.outcomes[reason] += 1
    seen.internal += int(answer.error.reason == errors_pb2.ERROR_REASON_INTERNAL)


async def _watch(server: EmbedderProcess, stub: health_pb2_grpc.HealthStub, seen: Seen) -> None:
    while True:
        status = (await stub.Check(health_pb2.HealthCheckRequest())).status
        seen.unhealthy += int(status != health_pb2.HealthCheckResponse.SERVING)
        seen.most_bytes = max(seen.most_bytes, server.resident_bytes())
        await asyncio.sleep(_HEALTH_EVERY_S)
