"""Product quantisers of faiss, in its own environment: IVF-PQ and HNSW-PQ.

`python faiss_codes.py DIRECTORY FETCH,FETCH` reads base.npy and queries.npy there and
prints a line of JSON for each index and depth of its search: what was found, files of
int64 [Q, FETCH] without re-ranking, and the least time of a query on one thread.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

_PASSES = 3
_TRAINED_ON = 16_384
_BUILD_THREADS = 2
_LINKS, _EXPANSION_ADD = 16, 240


def main() -> None:
    """Measure each index and say so."""
    work, fetches = Path(sys.argv[1]), [int(one) for one in sys.argv[2].split(",")]
    base, queries = np.load(work / "base.npy", mmap_mode="r"), np.load(work / "queries.npy")
    faiss: Any = importlib.import_module("faiss")
    for name, links, make in _indexes(faiss, base.shape):
        faiss.omp_set_num_threads(_BUILD_THREADS)
        started_s = time.process_time()
        index = make()
        index.train(np.ascontiguousarray(base[:_TRAINED_ON]))
        index.add(np.ascontiguousarray(base))
        build_s = time.process_time() - started_s
        size = len(faiss.serialize_index(index)) / len(base)
        faiss.omp_set_num_threads(1)
        for depth in (16, 64) if not links else (320, 512):
            _search_to(index, depth, deep=bool(links))
            found, taken_us = [], []
            for fetch in fetches:
                if links:
                    _search_to(index, max(depth, fetch), deep=True)
                keys, least_us = _search(index, queries, fetch)
                path = work / f"{name}-{depth}-{fetch}.npy"
                np.save(path, keys)
                found.append(str(path))
                taken_us.append(round(least_us))
            row = {
                "name": name,
                "links": links or "-",
                "depth": depth,
                "found": found,
                "us": taken_us,
                "bytes_an_item": round(size),
                "build_cpu_s": round(build_s, 1),
            }
            print(json.dumps(row), flush=True)


def _indexes(faiss: Any, shape: tuple[int, int]) -> Iterator[tuple[str, int, Callable[[], Any]]]:
    """Yield name, links (0: none) and what makes an index over float32 of this shape.

    All are over half the dimension, as our graphs are, and a rotation of faiss's own.
    """
    items, dimension = shape
    cells = max(16, int(4 * items**0.5))
    half = dimension // 2
    for code_bytes in (64, 128):

        def inverted(code_bytes: int = code_bytes) -> Any:
            return faiss.index_factory(dimension, f"PCAR{half},IVF{cells},PQ{code_bytes}")

        def linked(code_bytes: int = code_bytes) -> Any:
            index = faiss.index_factory(dimension, f"PCAR{half},HNSW{_LINKS}_PQ{code_bytes}")
            _graph_of(index).efConstruction = _EXPANSION_ADD
            return index

        yield f"faiss IVF-PQ, {code_bytes} bytes", 0, inverted
        yield f"faiss HNSW-PQ, {code_bytes} bytes", _LINKS, linked


def _graph_of(index: Any) -> Any:
    faiss: Any = importlib.import_module("faiss")
    return faiss.downcast_index(index.index).hnsw


def _search_to(index: Any, depth: int, *, deep: bool) -> None:
    """Set how far a search goes: the expansion of a graph, or cells."""
    if deep:
        _graph_of(index).efSearch = depth
        return
    faiss: Any = importlib.import_module("faiss")
    faiss.extract_index_ivf(index).nprobe = depth


def _search(index: Any, queries: Any, fetch: int) -> tuple[Any, float]:
    """Search one query at a time; return what was found and the median of the least times."""
    keys = np.empty((len(queries), fetch), dtype=np.int64)
    least_s = np.full(len(queries), np.inf)
    for _ in range(_PASSES):
        for place, query in enumerate(queries):
            started_s = time.thread_time()
            keys[place] = index.search(query[None], fetch)[1][0]
            least_s[place] = min(least_s[place], time.thread_time() - started_s)
    return keys, float(np.median(least_s) * 1e6)


if __name__ == "__main__":
    main()
