"""Streams vectors into a collection from a process of its own, and checks them if told to.

`python -m tests.bench.search.writer '{"port": …}'` prints one JSON object.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import numpy as np

from lookalike.v1 import search_pb2, search_pb2_grpc
from lookalike.wire.channel import ChannelOptions, sync_channel
from tests.bench.search.options import ROOT
from tests.bench.search.peers.environment import Missing
from tests.bench.search.service import search_request, upsert_message

_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Job:
    """Rows of a `.npy` file to stream under ids from `first_id` on.

    `rate_per_s` 0 sends as fast as it is acknowledged. `check` asks for each
    acknowledged vector at once, and sends the next message after the answer.
    """

    port: int
    collection: str
    rows: str
    first_id: int
    items_a_message: int
    rate_per_s: float
    seconds: float
    check: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it."""

    acknowledged: int
    refused: int
    not_found: int
    seconds: float


def start(job: Job) -> subprocess.Popen[str]:
    """Start a writer; `finish` waits for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.search.writer", json.dumps(asdict(job))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ready(process: subprocess.Popen[str]) -> None:
    """Wait until the writer has its messages made, and let it go."""
    assert process.stdout is not None  # piped above
    assert process.stdin is not None  # piped above
    if process.stdout.readline() != "ready\n":
        raise Missing("the writer did not start")
    process.stdin.write("go\n")
    process.stdin.flush()


def finish(process: subprocess.Popen[str]) -> Written:
    """Wait for a writer; return what came of it."""
    text, _ = process.communicate()
    if process.returncode:
        raise Missing(f"the writer ended with status {process.returncode}")
    return Written(**json.loads(text.splitlines()[-1]))


def main() -> None:
    """Write."""
    job = Job(**json.loads(sys.argv[1]))
    rows = np.load(job.rows, mmap_mode="r")
    messages = []
    for start_row in range(0, len(rows), job.items_a_message):
        part = np.asarray(rows[start_row : start_row + job.items_a_message])
        first = job.first_id + start_row
        ids = range(first, first + len(part))
        messages.append(upsert_message(job.collection, part, ids).SerializeToString())
    print("ready", flush=True)
    sys.stdin.readline()
    with sync_channel(f"127.0.0.1:{job.port}", ChannelOptions()) as channel:
        written = _check(job, channel, messages) if job.check else _stream(job, channel, messages)
    print(json.dumps(asdict(written)))


def _stream(job: Job, channel: grpc.Channel, messages: list[bytes]) -> Written:
    """Send what was serialised before the clock started; count acknowledgements."""
    # Stubs would serialise while the clock runs.
    method = channel.stream_stream(
        "/lookalike.v1.SearchService/UpsertVectors",
        request_serializer=lambda message: message,
        response_deserializer=search_pb2.UpsertVectorsResponse.FromString,
    )
    credit: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(_AHEAD):
        credit.put(None)
    started_s = time.perf_counter()

    def paced() -> Iterator[bytes]:
        for place, message in enumerate(messages):
            credit.get()
            if job.rate_per_s:
                due_s = started_s + place * job.items_a_message / job.rate_per_s
                time.sleep(max(0.0, due_s - time.perf_counter()))
            if time.perf_counter() - started_s > job.seconds:
                return
            yield message

    acknowledged = refused = 0
    for answer in method(paced()):
        credit.put(None)
        for result in answer.results:
            if result.status == search_pb2.MUTATION_STATUS_APPLIED:
                acknowledged += 1
            else:
                refused += 1
    return Written(acknowledged, refused, 0, time.perf_counter() - started_s)


def _check(job: Job, channel: grpc.Channel, messages: list[bytes]) -> Written:
    """Send a message, and search for its vectors once it is acknowledged."""
    stub = search_pb2_grpc.SearchServiceStub(channel)
    sent: queue.SimpleQueue[search_pb2.UpsertVectorsRequest | None] = queue.SimpleQueue()
    answers = stub.UpsertVectors(iter(sent.get, None))
    rows = np.load(job.rows, mmap_mode="r")
    acknowledged = missed = 0
    started_s = time.perf_counter()
    for place, message in enumerate(messages):
        due_s = started_s + place * job.items_a_message / job.rate_per_s
        time.sleep(max(0.0, due_s - time.perf_counter()))
        if time.perf_counter() - started_s > job.seconds:
            break
        sent.put(search_pb2.UpsertVectorsRequest.FromString(message))
        ids = [result.id for result in next(answers).results]
        first = place * job.items_a_message
        queries = np.asarray(rows[first : first + len(ids)])
        found = stub.Search(search_request(job.collection, queries, 1)).results
        acknowledged += len(ids)
        missed += sum(
            not result.hits or result.hits[0].id != wanted
            for result, wanted in zip(found, ids, strict=True)
        )
    sent.put(None)
    return Written(acknowledged, 0, missed, time.perf_counter() - started_s)


def save_rows(path: Path, rows: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> str:
    """Write rows where a writer finds them."""
    np.save(path, rows)
    return str(path)


if __name__ == "__main__":
    main()
