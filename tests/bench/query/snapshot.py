"""What a snapshot does to writes and searches: `python -m tests.bench.query.snapshot`.

A service is filled and indexed. Then one caller searches without pause, first
alone, then beside a writer, then beside the writer while snapshot after snapshot is
taken, then beside the writer again, since what is written makes searches slower by
itself. The writer is a process of its own, which sends small messages at a steady
rate and times each one's acknowledgement. The head is made large, so that no build
runs meanwhile: what is measured is the snapshot. It needs a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lookalike.v1 import search_pb2, search_pb2_grpc, snapshot_pb2, snapshot_pb2_grpc
from lookalike.wire.channel import ChannelOptions, sync_channel
from tests.bench.report import Report, percentile
from tests.bench.search.dataset import HardVectors
from tests.bench.search.options import ROOT
from tests.bench.search.service import Service, running, search_request, upsert_message

COLLECTION = "snapshots"
LIMIT = 10
QUERIES = 500
SNAPSHOTS = 3
# 250 vectors a second, in messages of 10, each a commit of its own.
ITEMS_A_MESSAGE = 10
MESSAGES_A_SECOND = 25
# Vectors that the writer replaces and adds, past those that were loaded.
WRITTEN = 20_000
HEAD_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class Phase:
    """Milliseconds of each search, of each write, and the seconds it lasted."""

    search_ms: list[float]
    write_ms: list[float]
    seconds: float

    @property
    def p99_ms(self) -> float:
        """Of the searches."""
        return percentile(self.search_ms, 99)

    def with_(self, other: Phase) -> Phase:
        """Both phases as one."""
        return Phase(
            self.search_ms + other.search_ms,
            self.write_ms + other.write_ms,
            self.seconds + other.seconds,
        )


def measure(report: Report, work: Path, *, count: int, dimension: int, seconds: float) -> None:
    """Add the rows query.6a to query.6d; everything below `work` is removed."""
    data = work / "snapshot-data"
    shutil.rmtree(data, ignore_errors=True)
    vectors = HardVectors(dimension)
    try:
        with running(data, "--head-limit", str(HEAD_LIMIT)) as service:
            service.create(COLLECTION, dimension)
            for start, rows in vectors.batches(count):
                service.upsert(COLLECTION, rows, range(start, start + len(rows)))
            service.wait_indexed(COLLECTION)
            alone = _searching(service, vectors, seconds)
            with _writer(service, dimension, count) as acknowledged:
                _drain(acknowledged)
                beside = _searching(service, vectors, seconds, acknowledged)
                during, took_s = _snapshots(service, vectors, acknowledged)
                beside = beside.with_(_searching(service, vectors, seconds, acknowledged))
    finally:
        shutil.rmtree(data, ignore_errors=True)
    _add_rows(report, count, alone, beside, during, took_s)


def _add_rows(
    report: Report, count: int, alone: Phase, beside: Phase, during: Phase, took_s: float
) -> None:
    what = (
        f"snapshots of {count:,} while {ITEMS_A_MESSAGE * MESSAGES_A_SECOND} vectors/s are written"
    )
    report.at_most(
        "query.6a",
        f"{what}: the longest that a write waited for its acknowledgement "
        f"(without a snapshot: {max(beside.write_ms) / 1e3:.3f} s; median "
        f"{percentile(during.write_ms, 50):.1f} ms, without {percentile(beside.write_ms, 50):.1f})",
        max(during.write_ms) / 1e3,
        "s",
        0.1,
    )
    report.at_most(
        "query.6b",
        f"{what}: search p99 ÷ the same writes without a snapshot "
        f"({during.p99_ms:.2f} ms, {beside.p99_ms:.2f} ms; {len(during.search_ms):,} searches)",
        during.p99_ms / beside.p99_ms,
        "x",
        1.5,
    )
    report.stated(
        "query.6c",
        f"the same ÷ search p99 without writes and snapshots ({alone.p99_ms:.2f} ms); the "
        f"writes alone make it {beside.p99_ms / alone.p99_ms:.2f}",
        during.p99_ms / alone.p99_ms,
        "x",
    )
    report.stated("query.6d", "seconds that one such snapshot takes", took_s, "s")


def _snapshots(
    service: Service, vectors: HardVectors, acknowledged: queue.SimpleQueue[float]
) -> tuple[Phase, float]:
    """Search while snapshots are taken; return also the mean seconds of one."""
    stub = snapshot_pb2_grpc.SnapshotServiceStub(service.channel)
    failures: list[BaseException] = []
    done = threading.Event()

    def take() -> None:
        try:
            for _ in range(SNAPSHOTS):
                request = snapshot_pb2.CreateSnapshotRequest(collection=COLLECTION)
                taken = stub.CreateSnapshot(request).snapshot
                stub.DeleteSnapshot(
                    snapshot_pb2.DeleteSnapshotRequest(snapshot_id=taken.snapshot_id)
                )
        except Exception as error:  # noqa: BLE001 - raised below, on the caller's thread
            failures.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=take)
    _drain(acknowledged)
    thread.start()
    phase = _searching(service, vectors, 3_600.0, acknowledged, done)
    thread.join()
    if failures:
        raise failures[0]
    return phase, phase.seconds / SNAPSHOTS


def _searching(
    service: Service,
    vectors: HardVectors,
    seconds: float,
    acknowledged: queue.SimpleQueue[float] | None = None,
    done: threading.Event | None = None,
) -> Phase:
    """Search one query after the other for `seconds`, or until `done`."""
    requests = [
        search_request(COLLECTION, query[None], LIMIT) for query in vectors.queries(QUERIES)
    ]
    for request in requests[:50]:
        service.search.Search(request)
    taken: list[float] = []
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < seconds and not (done is not None and done.is_set()):
        request = requests[len(taken) % len(requests)]
        started_s = time.perf_counter()
        service.search.Search(request)
        taken.append((time.perf_counter() - started_s) * 1e3)
    lasted_s = time.perf_counter() - began_s
    return Phase(taken, [] if acknowledged is None else _drain(acknowledged), lasted_s)


@contextmanager
def _writer(service: Service, dimension: int, first: int) -> Iterator[queue.SimpleQueue[float]]:
    """Run a writer; the queue holds the milliseconds of each acknowledgement."""
    arguments = [str(service.port), str(dimension), str(first)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.query.snapshot", "--writer", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None  # piped above
    stream = process.stdout
    found: queue.SimpleQueue[float] = queue.SimpleQueue()
    json.loads(stream.readline())  # it writes

    def read() -> None:
        for line in stream:
            found.put(float(line))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield found
    finally:
        process.terminate()
        process.wait()
        reader.join()
        stream.close()


def _drain(acknowledged: queue.SimpleQueue[float]) -> list[float]:
    found: list[float] = []
    while not acknowledged.empty():
        found.append(acknowledged.get())
    return found


def _write(port: int, dimension: int, first: int) -> None:
    """Write until the process is ended; print the milliseconds of each message."""
    rows = HardVectors(dimension).rows(first, first + WRITTEN)
    messages = [
        upsert_message(
            COLLECTION,
            rows[start : start + ITEMS_A_MESSAGE],
            range(first + start, first + start + ITEMS_A_MESSAGE),
        )
        for start in range(0, WRITTEN, ITEMS_A_MESSAGE)
    ]
    sent_s: queue.SimpleQueue[float] = queue.SimpleQueue()

    def paced() -> Iterator[search_pb2.UpsertVectorsRequest]:
        began_s = time.perf_counter()
        place = 0
        while True:
            due_s = began_s + place / MESSAGES_A_SECOND
            time.sleep(max(0.0, due_s - time.perf_counter()))
            sent_s.put(time.perf_counter())
            yield messages[place % len(messages)]
            place += 1

    with sync_channel(f"127.0.0.1:{port}", ChannelOptions()) as channel:
        stub = search_pb2_grpc.SearchServiceStub(channel)
        print("true", flush=True)
        for answer in stub.UpsertVectors(paced()):
            waited_ms = (time.perf_counter() - sent_s.get()) * 1e3
            bad = [one for one in answer.results if one.status != 1]
            if bad:
                raise SystemExit(f"a write was not applied: {bad[0]}")
            print(f"{waited_ms:.3f}", flush=True)


def main() -> None:
    """Measure, or write if told to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--suite", default="query")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench" / "work")
    parser.add_argument("--writer", nargs=3, type=int, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.writer:
        _write(*flags.writer)
        return
    report = Report(flags.suite, f"snapshot.py --count {flags.count}")
    flags.work.mkdir(parents=True, exist_ok=True)
    measure(
        report,
        flags.work,
        count=flags.count,
        dimension=flags.dimension,
        seconds=flags.seconds,
    )
    report.print_table()


if __name__ == "__main__":
    main()
