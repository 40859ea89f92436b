"""Groups among many vectors with planted near-duplicates (analysis.3), and searches meanwhile
(analysis.6).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np

from lookalike.v1 import analysis_pb2_grpc
from lookalike.v1 import duplicates_pb2 as pb
from lookalike_client import Client, Query, VectorItem
from search_service.domain.arrays import F32
from search_service.shard.options import ShardOptions
from tests.bench.report import Report
from tests.children import children_of
from tests.integration.search_server import SearchServer, running

_DIMENSION, _RANK = 512, 64
_THRESHOLD = 0.95
_PLANTED_SHARE = 0.025
_INDEXED_S = 3_600.0
# Searches of the idle service, and the pause between two: the search itself is what waits.
_SEARCHES, _PAUSE_S = 500, 0.01
# The newest stay in the head until more come; so few need no graph at all.
_MOST, _WITHOUT_GRAPH = 0.9, ShardOptions().head_limit
_FREED_S = 60.0


def measure(report: Report, count: int) -> None:
    """Store vectors, wait for their graph, find the groups, and compare with all pairs."""
    vectors = _vectors(count)
    with tempfile.TemporaryDirectory() as directory, running(Path(directory)) as server:
        server.create("planted", _DIMENSION)
        with Client(f"127.0.0.1:{server.port}") as client:
            items = (VectorItem(str(n), vector) for n, vector in enumerate(vectors))
            for result in client.upsert_vectors("planted", items):
                assert result.error is None
            _wait_for_graph(client, count)
            idle_s = _searched(client, vectors, lambda done: done >= _SEARCHES)
            with ThreadPoolExecutor(1) as pool:
                started = time.monotonic()
                answer = pool.submit(
                    client.analysis.find_duplicates, "planted", threshold=_THRESHOLD
                )
                busy_s = _searched(client, vectors, lambda _: answer.done())
                found = answer.result()
                seconds = time.monotonic() - started
            freed_s = _freed(server, Path(directory))
    pairs = {
        frozenset(pair)
        for group in found.groups
        for pair in combinations((int(member.id) for member in group.members), 2)
    }
    true = _near_pairs(vectors)
    recall = len(pairs & true) / max(len(true), 1)
    what = f"of {count:,} vectors, {len(true):,} near pairs"
    report.at_most("analysis.3.seconds", f"all groups {what}", seconds, "s", 300)
    report.at_most(
        "analysis.6.p99",
        f"p99 of searches during it, {1e3 * busy_s:.1f} ms, through that of an idle service, "
        f"{1e3 * idle_s:.1f} ms",
        busy_s / idle_s,
        "",
        2.0,
    )
    report.at_most("analysis.6.freed", "a cancelled run's process and files", freed_s, "s", 1.0)
    report.at_least("analysis.3.recall", f"pairs {what}", recall, "", 0.99)


def _vectors(count: int) -> F32:
    """Return unit vectors near a subspace, as embeddings are, a few of them near another."""
    rng = np.random.default_rng(8)
    basis = rng.normal(size=(_RANK, _DIMENSION))
    vectors = rng.normal(size=(count, _RANK)) @ basis + rng.normal(size=(count, _DIMENSION))
    planted = int(count * _PLANTED_SHARE)
    sources = rng.choice(count - planted, planted, replace=False)
    spread = np.linalg.norm(vectors[sources], axis=1, keepdims=True) / np.sqrt(_DIMENSION)
    share = rng.uniform(0.05, 0.25, size=(planted, 1))
    noise = rng.normal(size=(planted, _DIMENSION))
    vectors[count - planted :] = vectors[sources] + share * spread * noise
    unit: F32 = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _searched(client: Client, vectors: F32, enough: Callable[[int], bool]) -> float:
    """Search one by one until it is enough; return the 99th percentile in seconds."""
    took_s: list[float] = []
    while not enough(len(took_s)):
        vector = vectors[len(took_s) * 7 % len(vectors)]
        began = time.monotonic()
        client.search("planted", Query.by_vector(vector))
        took_s.append(time.monotonic() - began)
        time.sleep(_PAUSE_S)
    return float(np.percentile(took_s, 99))


def _freed(server: SearchServer, data: Path) -> float:
    """Cancel a run on its way; return after how many seconds its process and files are gone."""
    request = pb.FindDuplicatesRequest(collection="planted", threshold=_THRESHOLD)
    stream = analysis_pb2_grpc.AnalysisServiceStub(server.channel).FindDuplicates(request)
    next(iter(stream))
    (work,) = (data / "analysis").iterdir()
    (child,) = _children(server)
    began = time.monotonic()
    stream.cancel()
    while work.exists() or child.exists():
        assert time.monotonic() - began < _FREED_S, "a cancelled run is still there"
        time.sleep(0.002)
    return time.monotonic() - began


def _children(server: SearchServer) -> list[Path]:
    pids = children_of(server.process.pid, running="analysis.child")
    return [Path("/proc", str(pid)) for pid in pids]


def _wait_for_graph(client: Client, count: int) -> None:
    least = min(_MOST * count, count - _WITHOUT_GRAPH)
    deadline = time.monotonic() + _INDEXED_S
    while time.monotonic() < deadline:
        stats = client.collections.get("planted").stats
        if stats is not None and not stats.building and stats.graph_vectors >= least:
            return
        time.sleep(1)
    raise AssertionError("the graph was not built in time")


def _near_pairs(vectors: F32) -> set[frozenset[int]]:
    """Return all pairs that reach the threshold, by comparing all with all."""
    found: set[frozenset[int]] = set()
    step = 2_000
    for start in range(0, len(vectors), step):
        scores = vectors[start : start + step] @ vectors.T
        one, other = np.nonzero(scores >= _THRESHOLD)
        later = other > one + start
        pairs = zip((one[later] + start).tolist(), other[later].tolist(), strict=True)
        found.update(map(frozenset, pairs))
    return found
