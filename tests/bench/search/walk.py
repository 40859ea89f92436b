"""Our walk through a graph beside usearch's, in process: `python -m tests.bench.search.walk`.

One graph of the default preset is built and searched by both, with the same threads
and expansions; then what it does not reach is linked. Prints a JSON line for each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from usearch import index as usearch

from lookalike.wire.vectors import F32
from search_service.compiled.usearch_file import add_links
from search_service.domain.arrays import I8, I64
from search_service.domain.collection import Preset
from search_service.presets import index_settings
from search_service.segments.building.audit import repair
from search_service.segments.building.graph import Graph
from search_service.segments.encoder import SAMPLE_ROWS, fit_encoder
from search_service.segments.graph_view import GraphView
from tests.bench.report import median
from tests.bench.search.dataset import HardVectors

_usearch: Any = usearch
_BATCH = 4_096
_COUNT = 62  # what is re-ranked for k=10
_EXPANSIONS = (64, 96, 256)
_THREADS = 2
_PASSES = 5
_NO_SIDE = np.empty(0, dtype=np.int32)


def main() -> None:
    """Build, search by both, repair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=1_000)
    arguments = parser.parse_args()
    source = HardVectors(arguments.dim)
    base = source.rows(0, arguments.items)
    settings = index_settings(Preset.BALANCED, arguments.dim)
    encoder = fit_encoder(base[:SAMPLE_ROWS], settings.graph_dimension, settings.dtype)
    codes = np.concatenate(
        [encoder.encode(base[start : start + _BATCH]) for start in range(0, len(base), _BATCH)]
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "graph"
        graph = Graph(settings, encoder.width, reduced=encoder.reduces)
        for start in range(0, len(codes), _BATCH):
            graph.add(codes[start : start + _BATCH], _THREADS)
        graph.save(path)
        graph.close()
        view = GraphView.open(path, settings.dtype, encoder.width, reduced=encoder.reduces)
        queries = encoder.encode(source.queries(arguments.queries))
        for expansion in _EXPANSIONS:
            _say(_beside(path, view, queries, expansion))
        missed = _missed(view, codes)
        links, left = repair(view, lambda start, stop: codes[start:stop], _THREADS, lambda: None)
        add_links(path, links)
        filled = float((view.near >= 0).mean())
        _say({"missed_themselves": missed, "after_linking": len(left), "links_filled": filled})


def _beside(path: Path, view: GraphView, queries: F32 | I8, expansion: int) -> dict[str, object]:
    """Search with both, turn about; the median pass of each counts."""
    index = _usearch.Index.restore(str(path), view=True)
    index.expansion_search = expansion
    parts = np.array_split(queries, 4 * _THREADS)
    with ThreadPoolExecutor(_THREADS) as pool:

        def search(part: F32 | I8) -> I64:
            return view.search(part, _COUNT, expansion, side=_NO_SIDE)[0]

        def ours() -> I64:
            return np.concatenate(list(pool.map(search, parts)))

        def theirs() -> Any:
            return index.search(queries, _COUNT, threads=_THREADS)

        ours()
        answer = theirs()
        times_s = [(_timed(ours), _timed(theirs)) for _ in range(_PASSES)]
        keys = np.asarray(answer.keys).astype(np.int64)
        shared = [len(np.intersect1d(a, b)) for a, b in zip(ours(), keys, strict=True)]
    index.reset()
    ours_s, theirs_s = (median(list(column)) for column in zip(*times_s, strict=True))
    compared = answer.computed_distances
    return {
        "expansion": expansion,
        "comparisons_a_query": round(compared / len(queries)),
        "usearch_ns_a_comparison": round(theirs_s * _THREADS / compared * 1e9),
        "walk_ns_a_comparison": round(ours_s * _THREADS / compared * 1e9),
        "walk_over_usearch": round(theirs_s / ours_s, 2),
        "same_nodes": round(sum(shared) / keys.size, 4),
    }


def _timed(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def _missed(view: GraphView, codes: F32 | I8) -> int:
    found, _ = view.search(codes, 12, 48, side=_NO_SIDE, goals=np.arange(len(codes)))
    return int((found[:, 0] != np.arange(len(codes))).sum())


def _say(row: dict[str, object]) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
