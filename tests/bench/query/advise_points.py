"""The measured points that `lookalike advise` stands on.

`python -m tests.bench.query.advise_points [--items 40000] [--dim 512]` builds one
graph for each way of indexing, searches it, re-ranks on the exact vectors, and
prints a row for each search expansion, in the form of
`lookalike_client.advise.tables`. Times are of this thread's clock, for each query
the least of three passes, so that what else runs disturbs them little.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32
from search_service.compiled.usearch_file import add_links
from search_service.domain.arrays import I64
from search_service.domain.collection import Dtype, IndexSettings, Preset
from search_service.segments.building.audit import repair
from search_service.segments.building.graph import Graph
from search_service.segments.encoder import SAMPLE_ROWS, Encoder, fit_encoder
from search_service.segments.graph_view import GraphView
from search_service.shard.search.tuning import walked
from tests.bench.report import median, percentile
from tests.bench.search.dataset import HardVectors
from tests.bench.search.vectors import nearest, recall

_LIMIT = 10
_LONG_LIMIT = 100
_BATCH = 4_096
_PASSES = 3
_NO_SIDE = np.empty(0, dtype=np.int32)
EXPANSIONS = (64, 96, 128, 256, 320, 512, 1_024)


@dataclass(frozen=True, slots=True)
class Way:
    """One way of indexing; `reduced` halves the dimension of the graph."""

    name: str
    dtype: Dtype
    connectivity: int
    expansion_add: int
    reduced: bool


WAYS = (
    Way("fast", Dtype.I8, 24, 160, True),
    Way("light", Dtype.I8, 32, 200, True),
    Way("balanced", Dtype.I8, 32, 240, True),
    Way("accurate", Dtype.I8, 32, 400, True),
    Way("bf16", Dtype.BF16, 32, 240, True),
    Way("lean", Dtype.I4, 16, 240, True),
    Way("full", Dtype.BF16, 32, 200, False),
)


def main() -> None:
    """Print a JSON line for each way and expansion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=40_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--ways", default=",".join(way.name for way in WAYS))
    arguments = parser.parse_args()
    vectors = HardVectors(arguments.dim)
    base, queries = vectors.rows(0, arguments.items), vectors.queries(arguments.queries)
    truth = nearest(base, queries, _LONG_LIMIT)
    scan_us = _least_us(lambda query: base @ query, queries[:50])
    print(json.dumps({"way": "exact", "items": len(base), "p50_us": round(median(scan_us))}))
    for way in WAYS:
        if way.name in arguments.ways.split(","):
            for row in measure_way(way, base, queries, truth, EXPANSIONS):
                print(json.dumps(row), flush=True)


def measure_way(
    way: Way, base: F32, queries: F32, truth: I64, expansions: Sequence[int]
) -> Iterator[dict[str, object]]:
    """Build a graph over float32 [N, D] and yield a row for each expansion.

    `truth` is int64 [Q, 100], the exact nearest of `queries`.
    """
    width = base.shape[1] // 2 if way.reduced else 0
    settings = IndexSettings(
        Preset.BALANCED, way.dtype, way.connectivity, way.expansion_add, 0, width
    )
    encoder = fit_encoder(base[:SAMPLE_ROWS], width, way.dtype)
    graph = Graph(settings, encoder.width, reduced=encoder.reduces)
    started, started_cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(base), _BATCH):
        graph.add(encoder.encode(base[start : start + _BATCH]), threads=2)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "graph"
        graph.save(path)
        graph.close()
        audited = GraphView.open(
            path, way.dtype, encoder.width, reduced=encoder.reduces, to_change=True
        )
        links, _ = repair(
            audited, lambda start, stop: encoder.encode(base[start:stop]), 2, lambda: None
        )
        add_links(path, links)
        del audited
        searched = GraphView.open(path, way.dtype, encoder.width, reduced=encoder.reduces)
        file_bytes = path.stat().st_size
    built = {
        "build_s": round(time.perf_counter() - started, 1),
        "build_cpu_s": round(time.process_time() - started_cpu, 1),
        "graph_bytes_an_item": round(file_bytes / len(base)),
        "memory_bytes_an_item": round(searched.memory_bytes / len(base)),
    }
    for expansion in expansions:
        found, times_us = _search(searched, encoder, base, queries, expansion, _LIMIT)
        many, long_us = _search(searched, encoder, base, queries, expansion, _LONG_LIMIT)
        yield {
            "way": way.name,
            "items": len(base),
            "expansion_search": expansion,
            "recall_at_10": round(recall(found, truth, _LIMIT), 4),
            "recall_at_100": round(recall(many, truth, _LONG_LIMIT), 4),
            "p50_us": round(median(times_us)),
            "p50_us_at_100": round(median(long_us)),
            "p99_us": round(percentile(times_us, 99)),
            **built,
        }


def _search(
    graph: GraphView, encoder: Encoder, base: F32, queries: F32, expansion: int, limit: int
) -> tuple[I64, list[float]]:
    """Search one query at a time, as one client does."""
    found: dict[bytes, I64] = {}
    fetch = walked(limit)

    def search(query: F32) -> None:
        nodes, _ = graph.search(encoder.encode(query[None]), fetch, expansion, side=_NO_SIDE)
        rows = nodes[0]
        best = np.argsort(-(base[rows] @ query), kind="stable")[:limit]
        found[query.tobytes()] = rows[best]

    times_us = _least_us(search, queries)
    return np.stack([found[query.tobytes()] for query in queries]), times_us


def _least_us(call: Callable[[F32], object], queries: F32) -> list[float]:
    times_us = [math.inf] * len(queries)
    for _ in range(_PASSES):
        for i, query in enumerate(queries):
            started = time.thread_time()
            call(query)
            times_us[i] = min(times_us[i], (time.thread_time() - started) * 1e6)
    return times_us


if __name__ == "__main__":
    main()
