"""The search service as a process of its own, and the calls that figures make."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.v1 import collection_pb2, collection_pb2_grpc, search_pb2, search_pb2_grpc
from lookalike.wire import vectors
from lookalike.wire.channel import ChannelOptions, sync_channel
from lookalike.wire.vectors import F32
from tests.bench.search.options import ROOT
from tests.bench.search.peers.environment import Missing
from tests.bench.search.vectors import I64

_STOP_TIMEOUT_S = 120.0
_START_TIMEOUT_S = 600.0
_ITEMS_A_MESSAGE = 500
# Messages sent ahead of their acknowledgement.
_AHEAD = 8
_QUERIES_A_REQUEST = 64
_POLL_S = 0.25
# Fewer new vectors make no build; more do after 20 s without writes.
_LEFT_IN_HEAD = 2_000
_IDLE_S = 30.0


class Service:
    """A running service, with blocking stubs; see `running`."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self.pid = process.pid
        self.channel = sync_channel(f"127.0.0.1:{port}", ChannelOptions())
        self.search = search_pb2_grpc.SearchServiceStub(self.channel)
        self.collections = collection_pb2_grpc.CollectionServiceStub(self.channel)

    def create(
        self, name: str, dimension: int, index: collection_pb2.IndexSettings | None = None
    ) -> collection_pb2.Collection:
        """Create a collection of external vectors."""
        request = collection_pb2.CreateCollectionRequest(
            name=name,
            dimension=dimension,
            external_vectors=True,
            settings=collection_pb2.CollectionSettings(index=index),
        )
        return self.collections.CreateCollection(request).collection

    def describe(self, name: str) -> collection_pb2.Collection:
        """Describe a collection."""
        request = collection_pb2.GetCollectionRequest(collection=name)
        return self.collections.GetCollection(request).collection

    def delete(self, name: str) -> None:
        """Delete a collection."""
        self.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name=name))

    def upsert(self, name: str, rows: F32, ids: Sequence[int]) -> float:
        """Upsert float32 [N, D] under `ids` over one stream; return the seconds.

        Raises:
            Missing: an item was not applied.
        """
        window = threading.Semaphore(_AHEAD)

        def messages() -> Iterator[search_pb2.UpsertVectorsRequest]:
            for start in range(0, len(ids), _ITEMS_A_MESSAGE):
                window.acquire()
                span = slice(start, start + _ITEMS_A_MESSAGE)
                yield upsert_message(name, rows[span], ids[span])

        started_s = time.perf_counter()
        for answer in self.search.UpsertVectors(messages()):
            window.release()
            for result in answer.results:
                if result.status != search_pb2.MUTATION_STATUS_APPLIED:
                    raise Missing(f"an upsert was not applied: {result}")
        return time.perf_counter() - started_s

    def wait_indexed(self, name: str, *, timeout_s: float = 3_600.0) -> float:
        """Wait until what can be indexed is; return the seconds until it was.

        A tail may stay without a graph, which is told; it is scanned.

        Raises:
            Missing: it did not happen in time, or builds fail.
        """
        started_s = changed_s = time.perf_counter()
        before = None
        while time.perf_counter() - started_s < timeout_s:
            stats = self.describe(name).stats
            if stats.last_build_error:
                raise Missing(f"a build failed: {stats.last_build_error}")
            waiting = stats.unindexed_vectors
            now = (waiting, stats.head_vectors, stats.graph_vectors, stats.builds, stats.building)
            if now != before:
                before, changed_s = now, time.perf_counter()
            if not stats.building and waiting < _LEFT_IN_HEAD and stats.graph_vectors:
                return changed_s - started_s
            if not stats.building and time.perf_counter() - changed_s > _IDLE_S:
                if not stats.graph_vectors:
                    raise Missing(f"no graph is being built: {waiting:,} vectors have none")
                print(f"  {waiting:,} vectors stay without a graph", flush=True)
                return changed_s - started_s
            time.sleep(_POLL_S)
        raise Missing(f"not indexed within {timeout_s:.0f} s: {self.describe(name).stats}")

    def find(
        self,
        name: str,
        queries: F32,
        count: int,
        *,
        expansion: int = 0,
        exact: bool = False,
        batch: int = _QUERIES_A_REQUEST,
    ) -> I64:
        """Return the ids found for float32 [Q, D], int64 [Q, count], padded with -1."""
        found = np.full((len(queries), count), -1, dtype=np.int64)
        for start in range(0, len(queries), batch):
            request = search_request(
                name, queries[start : start + batch], count, expansion=expansion, exact=exact
            )
            for place, result in enumerate(self.search.Search(request).results):
                ids = [int(hit.id) for hit in result.hits]
                found[start + place, : len(ids)] = ids
        return found

    def latencies_ms(
        self, name: str, queries: F32, count: int, *, seconds: float, expansion: int = 0
    ) -> list[float]:
        """Search one query a request from one caller for `seconds`; return each call's ms."""
        requests = [
            search_request(name, query[None], count, expansion=expansion) for query in queries
        ]
        for request in requests[:20]:
            self.search.Search(request)
        taken: list[float] = []
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            request = requests[len(taken) % len(requests)]
            started_s = time.perf_counter()
            self.search.Search(request)
            taken.append((time.perf_counter() - started_s) * 1e3)
        return taken

    def memory_bytes(self) -> int:
        """Return the resident memory of the service's process, mapped files included."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Missing("the process has no resident memory: it has ended")


@contextmanager
def running(data: Path, *arguments: str, checkout: Path = ROOT) -> Iterator[Service]:
    """Run a service over `data` and end it afterwards; of another checkout with its own .venv.

    Raises:
        Missing: it does not start.
    """
    data.mkdir(parents=True, exist_ok=True)
    log = data.parent / f"{data.name}.log"
    with log.open("a") as said:
        process = subprocess.Popen(
            [
                sys.executable if checkout == ROOT else str(checkout / ".venv/bin/python"),
                "-m",
                "search_service",
                "--data",
                str(data),
                "--port",
                "0",
                *arguments,
            ],
            cwd=checkout,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    try:
        service = Service(process, _port_of(process, log))
        try:
            yield service
        finally:
            service.channel.close()
    finally:
        _stop(process)


def upsert_message(name: str, rows: F32, ids: Iterable[int]) -> search_pb2.UpsertVectorsRequest:
    """Return one message that stores float32 [n, D] under `ids`."""
    items = [
        search_pb2.VectorUpsert(id=str(key), vector_f32_le=vectors.encode(row))
        for key, row in zip(ids, rows, strict=True)
    ]
    return search_pb2.UpsertVectorsRequest(collection=name, items=items)


def search_request(
    name: str, queries: F32, count: int, *, expansion: int = 0, exact: bool = False
) -> search_pb2.SearchRequest:
    """Return one request with float32 [B, D] queries."""
    return search_pb2.SearchRequest(
        collection=name,
        queries=[search_pb2.Query(vector_f32_le=vectors.encode(query)) for query in queries],
        limit=count,
        expansion_search=expansion,
        exact=exact,
    )


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes on disk: of everything, of the graphs."""

    all_bytes: int
    graph_bytes: int


def disk_use(data: Path) -> DiskUse:
    """Add up the files below `data`."""
    sizes = {path: path.stat().st_size for path in data.rglob("*") if path.is_file()}
    graphs = sum(size for path, size in sizes.items() if path.name == "graph.usearch")
    return DiskUse(sum(sizes.values()), graphs)


def _port_of(process: subprocess.Popen[str], log: Path) -> int:
    """Read the line that the service prints once it serves."""
    assert process.stdout is not None  # piped above
    timer = threading.Timer(_START_TIMEOUT_S, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            if '"serving"' in line:
                port: int = json.loads(line)["port"]
                return port
    finally:
        timer.cancel()
    last = (log.read_text().strip().splitlines() or ["it said nothing"])[-1]
    raise Missing(f"the search service does not start: {last}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
