"""Insertion in the order of arrival beside that of likeness: `python -m tests.bench.search.order`.

Two graphs of the default preset grow by turns, batch by batch, from the same rows, so
that a slow minute of the machine slows both. Prints a JSON line for each, with the
share of the ten nearest encoded vectors that it finds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32
from search_service.domain.arrays import I8, I64
from search_service.domain.collection import Preset
from search_service.presets import index_settings
from search_service.segments.building.arranging import arranged
from search_service.segments.building.assembly import BATCH_ROWS
from search_service.segments.building.graph import Graph
from search_service.segments.encoder import SAMPLE_ROWS, fit_encoder
from search_service.segments.graph_view import GraphView
from tests.bench.search.dataset import HardVectors

_THREADS = 2
_QUERIES, _COUNT, _EXPANSION = 500, 10, 64
_NO_SIDE = np.empty(0, dtype=np.int32)


def main() -> None:
    """Insert the same rows in both orders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    arguments = parser.parse_args()
    source = HardVectors(arguments.dim)
    rows = source.rows(0, arguments.items)
    settings = index_settings(Preset.BALANCED, arguments.dim)
    encoder = fit_encoder(rows[:SAMPLE_ROWS], settings.graph_dimension, settings.dtype)
    orders = {
        "arrival": _batches(rows),
        "likeness": arranged(_batches(rows), started=False, batch_rows=BATCH_ROWS),
    }
    graphs = {name: Graph(settings, encoder.width, reduced=encoder.reduces) for name in orders}
    seconds = dict.fromkeys(orders, 0.0)
    inserted: dict[str, list[I64]] = {name: [] for name in orders}
    sources = {name: iter(order) for name, order in orders.items()}
    while sources:
        for name, batches in list(sources.items()):
            batch = next(batches, None)
            if batch is None:
                del sources[name]
                continue
            inserted[name].append(batch[0])
            codes = encoder.encode(batch[1])
            started_s = time.perf_counter()
            graphs[name].add(codes, _THREADS)
            seconds[name] += time.perf_counter() - started_s
    queries = encoder.encode(source.queries(_QUERIES))
    nearest = _nearest(encoder.encode(rows), queries)
    for name, spent_s in seconds.items():
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "graph"
            graphs[name].save(path)
            view = GraphView.open(path, settings.dtype, encoder.width, reduced=encoder.reduces)
        found, _ = view.search(queries, _COUNT, _EXPANSION, side=_NO_SIDE)
        found = np.concatenate(inserted[name])[found]
        shared = [len(np.intersect1d(a, b)) for a, b in zip(found, nearest, strict=True)]
        print(
            json.dumps(
                {
                    "order": name,
                    "items": len(graphs[name]),
                    "insertions_a_second": round(len(graphs[name]) / spent_s),
                    "over_arrival": round(seconds["arrival"] / spent_s, 2),
                    "recall": round(sum(shared) / nearest.size, 4),
                }
            )
        )


def _nearest(codes: F32 | I8, queries: F32 | I8) -> I64:
    """Return the nearest of `codes` by squared distance, int64 [B, 10], in any order."""
    scalars = codes.astype(np.float32)
    scores = queries.astype(np.float32) @ scalars.T - np.square(scalars).sum(axis=1) / 2
    return np.argpartition(-scores, _COUNT, axis=1)[:, :_COUNT]


def _batches(rows: F32) -> Iterable[tuple[I64, F32]]:
    for start in range(0, len(rows), BATCH_ROWS):
        some = rows[start : start + BATCH_ROWS]
        yield np.arange(start, start + len(some)), some


if __name__ == "__main__":
    main()
