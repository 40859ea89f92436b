"""Load on an embedder, as a process of its own so that it measures nothing but answers.

`python -m tests.bench.embed.load TARGET KIND LANE SECONDS IN_FLIGHT` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from lookalike.v1 import embedder_pb2 as pb
from lookalike.v1 import embedder_pb2_grpc
from lookalike.wire.channel import ChannelOptions, aio_channel
from tests.bench.embed import images
from tests.bench.embed.run import module_process

LANES = {"query": pb.LANE_QUERY, "bulk": pb.LANE_BULK}

# Answers before this point of a run are warm-up and do not count.
_WARM_UP = 0.15


def payloads(kind: str) -> list[dict[str, Any]]:
    """Return the image fields of 64 requests: "raw" pixels or "jpeg" files."""
    if kind == "jpeg":
        return [{"encoded": data} for data in images.jpegs()]
    side = images.SIDE_PX
    return [
        {"raw": pb.RawImage(width_px=side, height_px=side, rgb8=square.tobytes())}
        for square in images.squares()
    ]


async def stream(target: str, kind: str, lane: str, seconds: float, in_flight: int) -> float:
    """Keep `in_flight` images unanswered on one stream; return images a second."""
    ready = payloads(kind)
    places = asyncio.Semaphore(in_flight)
    until = time.perf_counter() + seconds
    counted_from = time.perf_counter() + seconds * _WARM_UP
    counted = 0
    last = first = 0.0

    async def requests() -> AsyncIterator[pb.EmbedImagesRequest]:
        number = 0
        while time.perf_counter() < until:
            await places.acquire()
            fields = ready[number % len(ready)]
            yield pb.EmbedImagesRequest(request_id=number, lane=LANES[lane], **fields)
            number += 1

    async with aio_channel(target, ChannelOptions()) as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        async for answer in stub.EmbedImages(requests()):
            places.release()
            if answer.HasField("error"):
                raise AssertionError(f"an image failed: {answer.error.message}")
            now = time.perf_counter()
            if counted_from <= now <= until:
                first = first or now
                last = now
                counted += 1
    return (counted - 1) / (last - first) if counted > 1 else 0.0


def in_process(target: str, kind: str, lane: str, seconds: float, in_flight: int = 32) -> Pending:
    """Start the load in another process."""
    return Pending(target, kind, lane, str(seconds), str(in_flight))


class Pending:
    """A load that runs."""

    def __init__(self, *arguments: str) -> None:
        self._process = module_process("tests.bench.embed.load", *arguments)

    def result(self) -> float:
        """Wait for its end; return images a second."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise AssertionError("the load ended with an error")
        return float(json.loads(out)["images_per_s"])


if __name__ == "__main__":
    target_, kind_, lane_, seconds_, in_flight_ = sys.argv[1:]
    rate = asyncio.run(stream(target_, kind_, lane_, float(seconds_), int(in_flight_)))
    print(json.dumps({"images_per_s": rate}))
