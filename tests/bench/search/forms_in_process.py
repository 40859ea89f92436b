"""Forms of vectors in a graph, and faiss's product quantisers, side by side in process.

`python -m tests.bench.search.forms [--items 100000]` prints a table: recall after exact
re-ranking of as many rows as the service re-ranks, bytes an item in memory (codes and
links, without the rows), microseconds of a query on one thread, CPU seconds to build.
What one processor does beside other work: times are those of the thread's own clock.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lookalike.wire.vectors import F32
from search_service.domain.collection import Dtype
from search_service.shard.search.tuning import walked
from tests.bench.query.advise_points import Way, measure_way
from tests.bench.search.dataset import HardVectors
from tests.bench.search.options import ROOT
from tests.bench.search.peers.environment import Missing, python_of
from tests.bench.search.vectors import I64, nearest, recall

FORMS = (
    Way("f32", Dtype.F32, 32, 240, True),
    Way("f16", Dtype.F16, 32, 240, True),
    Way("bf16", Dtype.BF16, 32, 240, True),
    Way("i8 (balanced)", Dtype.I8, 32, 240, True),
    Way("i8, half the links", Dtype.I8, 16, 240, True),
    Way("4 bits, packed links", Dtype.I4, 32, 240, True),
    Way("4 bits, half the links (lean)", Dtype.I4, 16, 240, True),
)
_EXPANSIONS = (320, 512)
_LIMITS = (10, 100)
_PEER = ROOT / "tests" / "bench" / "search" / "peers" / "faiss_codes.py"
_COLUMNS = ("form", "M", "ef", "recall@10", "recall@100", "bytes", "us@10", "us@100", "build")


def main() -> None:
    """Print the table, a line for each form and expansion as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--forms", default="", help="names that begin so, as in i8,4; all of them")
    parser.add_argument("--no-peers", action="store_true", help="leave out faiss")
    flags = parser.parse_args()
    source = HardVectors(flags.dim)
    base, queries = source.rows(0, flags.items), source.queries(flags.queries)
    truth = nearest(base, queries, max(_LIMITS))
    print(f"{flags.items:,} x {flags.dim}, {flags.queries} queries")
    _say(_COLUMNS)
    begins = tuple(flags.forms.split(",")) if flags.forms else ("",)
    for form in FORMS:
        if form.name.startswith(begins):
            for row in measure_way(form, base, queries, truth, _EXPANSIONS):
                _say(_line(form, row))
    if flags.no_peers:
        return
    try:
        for answer in _faiss(base, queries, truth):
            _say(answer)
    except Missing as error:
        print(f"faiss: {error}")


def _line(form: Way, row: dict[str, object]) -> tuple[object, ...]:
    return (
        form.name,
        form.connectivity,
        row["expansion_search"],
        row["recall_at_10"],
        row["recall_at_100"],
        row["memory_bytes_an_item"],
        row["p50_us"],
        row["p50_us_at_100"],
        row["build_cpu_s"],
    )


def _faiss(base: F32, queries: F32, truth: I64) -> Iterator[tuple[object, ...]]:
    """Yield a line for each index and depth of search of faiss."""
    python = python_of("peers")
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        np.save(work / "base.npy", base)
        np.save(work / "queries.npy", queries)
        fetch = ",".join(str(walked(limit)) for limit in _LIMITS)
        command = [str(python), str(_PEER), directory, fetch]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as peer:
            assert peer.stdout is not None  # piped above
            for line in peer.stdout:
                said = json.loads(line)
                shares = [
                    round(_share(np.load(path), base, queries, truth, limit), 4)
                    for path, limit in zip(said["found"], _LIMITS, strict=True)
                ]
                times = said["us"]
                yield (
                    *(said["name"], said["links"], said["depth"], *shares),
                    *(said["bytes_an_item"], *times, said["build_cpu_s"]),
                )
        if peer.returncode:
            raise Missing(f"its driver ended with status {peer.returncode}")


def _share(found: I64, base: F32, queries: F32, truth: I64, limit: int) -> float:
    """Re-rank what was found, int64 [Q, C], padded with -1; return recall@`limit`."""
    scores = np.stack([base[rows] @ query for rows, query in zip(found, queries, strict=True)])
    scores[found < 0] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :limit]
    return recall(np.take_along_axis(found, order, 1), truth, limit)


def _say(cells: tuple[object, ...]) -> None:
    widths = (31, 3, 5, 10, 11, 6, 7, 7, 7)
    print("".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)))
