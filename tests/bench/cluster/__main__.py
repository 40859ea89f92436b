"""`python -m tests.bench.cluster`: three Ray nodes on this machine beside one search service.

Both hold the same vectors, and are asked in turns, so that they meet the same other load.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np

from lookalike.v1 import collection_pb2 as cpb
from lookalike.v1 import search_pb2 as spb
from lookalike.wire import vectors
from search_service.domain.arrays import F32
from search_service.segments.building.planning import LEAST_GRAPH_VECTORS
from search_service.shard.options import ShardOptions
from tests.bench.cluster import bulk
from tests.bench.ingest import load
from tests.bench.report import Report, percentile
from tests.cluster.system import System, running_system, wait_until_whole
from tests.integration.search_server import SearchServer, running

NAME = "c"
_BATCH = 500
_WARM_UP = 20
_BUILT_WITHIN_S = 900.0
PARTITIONS = 3
# What an idle shard has in no graph, since a scan of so many is as fast.
_FEW_VECTORS = PARTITIONS * LEAST_GRAPH_VECTORS


def main() -> None:
    """Measure, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    # A partition has more than a head holds before anything is built.
    count = round(1.1 * PARTITIONS * ShardOptions().head_limit)
    parser.add_argument("--count", type=int, default=count, help="vectors")
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--images", type=Path, default=load.FASHION, help="folder of JPEG files")
    parser.add_argument("--bulk", type=int, default=1_500, help="images of the bulk rows; 0: none")
    given = parser.parse_args()
    os.environ["RAY_AUTH_MODE"] = "disabled"
    words = ["make", "bench-cluster"] if not sys.argv[1:] else ["python", "-m tests.bench.cluster"]
    report = Report("cluster", " ".join([*words, *sys.argv[1:]]))
    rows = _rows(given.count, given.dimension, 1)
    queries = _rows(given.queries + _WARM_UP, given.dimension, 2)
    work = Path(tempfile.mkdtemp(prefix="lrb"))
    began_s = time.monotonic()
    try:
        with (
            running(work / "one", "--threads", "1") as one,
            running_system(work, work / "ray", durable_head=True) as system,
        ):
            front = system.front()
            settings = cpb.CollectionSettings(partitions=PARTITIONS, replicas=2)
            front.create(NAME, given.dimension, settings=settings)
            one.create(NAME, given.dimension)
            for server in (one, front):
                for first in range(0, given.count, _BATCH):
                    server.upsert(NAME, _items(rows[first : first + _BATCH], first))
            wait_until_whole(front, NAME)
            for server in (one, front):
                _wait_until_built(server)
            _queries(report, one, front, queries)
            _writes(report, one, front, queries)
            _death(report, system, front, queries)
        if given.bulk:
            bulk.measure(report, given.images, given.bulk, work / "bulk")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.stated("cluster.9", "all of it", round(time.monotonic() - began_s), "s")
    report.print_table()


def _rows(count: int, dimension: int, seed: int) -> F32:
    rows = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    unit: F32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _items(rows: F32, first: int, prefix: str = "item") -> list[spb.VectorUpsert]:
    return [
        spb.VectorUpsert(id=f"{prefix}-{first + n}", vector_f32_le=vectors.encode(row))
        for n, row in enumerate(rows)
    ]


def _wait_until_built(server: SearchServer) -> None:
    """Have no build beside the queries; a few vectors are in no graph, since none pays for them."""
    deadline_s = time.monotonic() + _BUILT_WITHIN_S
    request = cpb.GetCollectionRequest(collection=NAME)
    while True:
        stats = server.collections.GetCollection(request).collection.stats
        if not stats.building and stats.unindexed_vectors < _FEW_VECTORS:
            return
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"the graphs are not built within {_BUILT_WITHIN_S:g} s")
        time.sleep(1)


def _queries(report: Report, one: SearchServer, front: SearchServer, queries: F32) -> None:
    """cluster.1 and cluster.2: the same queries here and there, one at a time."""
    whole: dict[str, list[float]] = {"one": [], "cluster": []}
    beside: dict[str, list[float]] = {"one": [], "cluster": []}
    for place, query in enumerate(queries):
        for name, server in (("one", one), ("cluster", front)):
            request = spb.SearchRequest(
                collection=NAME,
                queries=[spb.Query(vector_f32_le=vectors.encode(query))],
                limit=10,
                explain=True,
            )
            started_s = time.perf_counter()
            (result,) = server.search.Search(request).results
            taken_ms = (time.perf_counter() - started_s) * 1e3
            if place >= _WARM_UP:
                plan = result.plan
                searched = plan.search_time.ToNanoseconds() + plan.wait_time.ToNanoseconds()
                whole[name].append(taken_ms)
                beside[name].append(taken_ms - searched / 1e6)
    for number, share in (("1", 50), ("2", 99)):
        added = percentile(beside["cluster"], share)
        own = percentile(beside["one"], share)
        what = (
            f"query on 3 partitions, p{share}, beside the slowest shard's search and wait; one "
            f"machine {own:.2f} ms, whole {percentile(whole['cluster'], share):.2f} ms against "
            f"{percentile(whole['one'], share):.2f} ms"
        )
        if share == 50:
            report.at_most(f"cluster.{number}", what, added, "ms", 8)
        else:
            report.stated(f"cluster.{number}", what, added, "ms")


def _writes(report: Report, one: SearchServer, front: SearchServer, queries: F32) -> None:
    """cluster.3: one item at a time, until it is acknowledged."""
    taken: dict[str, list[float]] = {"one": [], "cluster": []}
    for place, row in enumerate(queries):
        for name, server in (("one", one), ("cluster", front)):
            started_s = time.perf_counter()
            server.upsert(NAME, _items(row[None], place, "written"))
            taken[name].append((time.perf_counter() - started_s) * 1e3)
    mine, theirs = percentile(taken["cluster"], 50), percentile(taken["one"], 50)
    what = f"a write on the cluster, p50, until acknowledged; one machine {theirs:.2f} ms"
    report.stated("cluster.3", what, mine, "ms")


def _death(report: Report, system: System, front: SearchServer, queries: F32) -> None:
    """cluster.4 and 5: a node is killed while queries come one after the other."""
    system.nodes[2].kill()
    until_s = time.monotonic() + 10
    taken: list[float] = []
    failed = 0
    while time.monotonic() < until_s:
        started_s = time.perf_counter()
        try:
            front.find(NAME, queries[len(taken) % len(queries)].tolist())
        except grpc.RpcError:
            failed += 1
        taken.append(time.perf_counter() - started_s)
    report.at_most("cluster.4", "longest query after a node was killed", max(taken), "s", 1)
    report.at_most("cluster.5", f"failed ones of {len(taken):,} queries", failed, "queries", 0)


if __name__ == "__main__":
    main()
