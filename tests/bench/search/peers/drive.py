"""Runs one peer on behalf of the benchmark: `python -m tests.bench.search.peers.drive NAME`."""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.bench.search.peers.anchors import Scann, SvsLeanVec, SvsLvq, Zvec
from tests.bench.search.peers.databases import Chroma, Lancedb, Milvus
from tests.bench.search.peers.libraries import Faiss, Hnswlib, Usearch
from tests.bench.search.peers.lookalike import Lookalike
from tests.bench.search.peers.protocol import Narrowed, Peer
from tests.bench.search.peers.qdrant import QdrantEdge, QdrantEdgeAcorn, QdrantEdgeLinked

PEERS: dict[str, Callable[[], Peer]] = {
    "lookalike": Lookalike,
    "usearch": Usearch,
    "hnswlib": Hnswlib,
    "faiss": Faiss,
    "chroma": Chroma,
    "lancedb": Lancedb,
    "milvus": Milvus,
    "svs-lvq": SvsLvq,
    "svs-leanvec": SvsLeanVec,
    "scann": Scann,
    "zvec": Zvec,
    "qdrant-edge": QdrantEdge,
    "qdrant-edge-linked": QdrantEdgeLinked,
    "qdrant-edge-acorn": QdrantEdgeAcorn,
}


def main() -> None:
    """Answer requests from standard input until it ends or asks to close."""
    # What a library prints must not stand between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    peer: Peer | None = None
    try:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                if peer is None:
                    peer = PEERS[sys.argv[1]]()
                answer = _answer(peer, request)
            except Exception as error:  # noqa: BLE001 - whatever a peer raises becomes a row's reason
                answer = {"error": f"{type(error).__name__}: {error}"[:500]}
            answers.write(json.dumps(answer) + "\n")
    finally:
        if peer is not None:
            peer.close()


def _answer(peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "build":
        vectors = np.load(request["vectors"], mmap_mode="r")
        started_s = time.perf_counter()
        peer.build(vectors, request["connectivity"], request["expansion_add"])
        return {"seconds": time.perf_counter() - started_s}
    if request["do"] == "narrow":
        if not isinstance(peer, Narrowed):
            raise TypeError("it is not measured with filters")
        peer.narrow(request["field"], request["value"])
        return {}
    queries = np.load(request["queries"])
    count, expansion, batch = request["count"], request["expansion"], request["batch"]
    if request["do"] == "find":
        found = [
            peer.search(queries[start : start + batch], count, expansion)
            for start in range(0, len(queries), batch)
        ]
        np.save(request["out"], np.concatenate(found))
        return {}
    return _time(peer, request, queries)


def _time(peer: Peer, request: dict[str, Any], queries: Any) -> dict[str, Any]:
    """Search for `seconds` from `callers` threads, `batch` queries a call."""
    count, expansion, batch = request["count"], request["expansion"], request["batch"]
    starts = itertools.cycle(range(0, max(1, len(queries) - batch + 1), batch))
    lock = threading.Lock()
    calls_s: list[float] = []
    failures: list[str] = []
    peer.search(queries[:batch], count, expansion)  # warms up
    end_s = time.perf_counter() + request["seconds"]

    def call() -> None:
        while time.perf_counter() < end_s and not failures:
            with lock:
                start = next(starts)
            started_s = time.perf_counter()
            try:
                peer.search(queries[start : start + batch], count, expansion)
            except Exception as error:  # noqa: BLE001 - told to the benchmark below
                failures.append(f"{type(error).__name__}: {error}"[:500])
                return
            calls_s.append(time.perf_counter() - started_s)

    began_s = time.perf_counter()
    threads = [threading.Thread(target=call) for _ in range(request["callers"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - began_s
    if failures:
        return {"error": failures[0]}
    return {
        "queries_per_s": len(calls_s) * min(batch, len(queries)) / elapsed_s,
        "p50_ms": float(np.percentile(calls_s, 50) * 1e3),
        "p99_ms": float(np.percentile(calls_s, 99) * 1e3),
    }


if __name__ == "__main__":
    main()
