"""Insertion in the order of arrival beside that of likeness: `python -m tests.bench.search.order`.

Two graphs of the default preset grow by turns, batch by batch, from the same rows, so
that a slow minute of the machine slows both. Prints a JSON line for each.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable

import numpy as np

from lookalike.wire.vectors import F32
from search_service.presets import index_settings
from search_service.segments.arranging import arranged
from search_service.segments.assembly import BATCH_ROWS
from search_service.segments.encoder import SAMPLE_ROWS, fit_encoder
from search_service.segments.graph import Graph
from search_service.segments.rows import I64
from search_service.shard.types import Preset
from tests.bench.search.dataset import HardVectors

_THREADS = 2


def main() -> None:
    """Insert the same rows in both orders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    arguments = parser.parse_args()
    rows = HardVectors(arguments.dim).rows(0, arguments.items)
    settings = index_settings(Preset.BALANCED, arguments.dim)
    encoder = fit_encoder(rows[:SAMPLE_ROWS], settings.graph_dimension, settings.dtype)
    orders = {
        "arrival": _batches(rows),
        "likeness": arranged(_batches(rows), started=False, batch_rows=BATCH_ROWS),
    }
    graphs = {name: Graph(settings, encoder.width, reduced=encoder.reduces) for name in orders}
    seconds = dict.fromkeys(orders, 0.0)
    sources = {name: iter(order) for name, order in orders.items()}
    while sources:
        for name, source in list(sources.items()):
            batch = next(source, None)
            if batch is None:
                del sources[name]
                continue
            codes = encoder.encode(batch[1])
            started_s = time.perf_counter()
            graphs[name].add(codes, _THREADS)
            seconds[name] += time.perf_counter() - started_s
    for name, spent_s in seconds.items():
        print(
            json.dumps(
                {
                    "order": name,
                    "items": len(graphs[name]),
                    "insertions_a_second": round(len(graphs[name]) / spent_s),
                    "over_arrival": round(seconds["arrival"] / spent_s, 2),
                }
            )
        )


def _batches(rows: F32) -> Iterable[tuple[I64, F32]]:
    for start in range(0, len(rows), BATCH_ROWS):
        some = rows[start : start + BATCH_ROWS]
        yield np.arange(start, start + len(some)), some


if __name__ == "__main__":
    main()
