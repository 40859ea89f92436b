"""One database on filtered work, in its own environment: `… peer_driver NAME < request`.

Reads one JSON object: `vectors`, `values` (float64 [N]), `queries`, `truths` (one
int64 [Q, k] file for each bound), `bounds`, `recall`, `seconds`. Prints, for each
bound, the least expansion that reaches the recall, and queries a second there.
It may import numpy and the peer, nothing of Lookalike.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.bench.search.peers.databases import Chroma, Lancedb, Milvus
from tests.bench.search.peers.protocol import F32

_BLOCK_ROWS = 5_000
_EXPANSIONS = (32, 64, 128, 256, 512, 1_024, 2_048)
_CONNECTIVITY, _EXPANSION_ADD = 32, 400
# Begins a line on standard error that says what is being done.
STEP = "step: "

# Finds the keys of the nearest of one query whose value is below a bound.
Find = Callable[[F32, float, int, int], list[int]]


class FilteredChroma(Chroma):
    """With the value as metadata."""

    def fill(self, vectors: F32, values: Any) -> None:
        """Add everything."""
        hnsw = {"space": "ip", "max_neighbors": _CONNECTIVITY, "ef_construction": _EXPANSION_ADD}
        self._collection = self._client().create_collection(
            "bench", embedding_function=None, configuration={"hnsw": {**hnsw, "ef_search": 100}}
        )
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            keys = range(start, start + len(rows))
            self._collection.add(
                ids=[str(key) for key in keys],
                embeddings=rows,
                metadatas=[{"free": float(values[key])} for key in keys],
            )
        self.search(np.asarray(vectors[:1]), 1, 100)

    def find(self, query: F32, bound: float, count: int, expansion: int) -> list[int]:
        """Query with a where clause."""
        if expansion != self._expansion:
            self.search(query[None], 1, expansion)  # opens the index with it
        found = self._collection.query(
            query_embeddings=query[None],
            n_results=count,
            where={"free": {"$lt": bound}},
            include=[],
        )
        return [int(key) for key in found["ids"][0]]


class FilteredLancedb(Lancedb):
    """With the value as a column that has a scalar index."""

    def fill(self, vectors: F32, values: Any) -> None:
        """Write the table, then both indexes."""
        arrow = self._arrow
        database = self._library.connect(self._directory.name)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            span = slice(start, start + len(rows))
            flat = arrow.FixedSizeListArray.from_arrays(rows.reshape(-1), rows.shape[1])
            keys = arrow.array(np.arange(start, start + len(rows)))
            batch = arrow.table({"key": keys, "free": arrow.array(values[span]), "vector": flat})
            if self._table is None:
                self._table = database.create_table("bench", batch)
            else:
                self._table.add(batch)
        self._table.optimize()
        self._table.create_index(
            metric="dot",
            vector_column_name="vector",
            index_type="IVF_HNSW_SQ",
            num_partitions=1,
            m=_CONNECTIVITY,
            ef_construction=_EXPANSION_ADD,
        )
        self._table.create_scalar_index("free")

    def find(self, query: F32, bound: float, count: int, expansion: int) -> list[int]:
        """Search with a prefilter, refined."""
        plan = self._table.search(query).nprobes(1).ef(max(expansion, count * 5)).refine_factor(5)
        found = plan.where(f"free < {bound!r}", prefilter=True).limit(count).select(["key"])
        keys: list[int] = found.to_arrow()["key"].to_pylist()
        return keys


class FilteredMilvus(Milvus):
    """With the value as a scalar field."""

    def fill(self, vectors: F32, values: Any) -> None:
        """Insert, flush, index, load."""
        client = self._client
        types: Any = importlib.import_module("pymilvus").DataType
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", types.INT64, is_primary=True)
        schema.add_field("free", types.DOUBLE)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=vectors.shape[1])
        client.create_collection("bench", schema=schema)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            data = [
                {"key": key, "free": float(values[key]), "vector": row}
                for key, row in enumerate(rows, start)
            ]
            client.insert("bench", data)
        client.flush("bench")
        index = client.prepare_index_params()
        hnsw = {"M": _CONNECTIVITY, "efConstruction": _EXPANSION_ADD}
        index.add_index("vector", index_type="HNSW", metric_type="IP", params=hnsw)
        client.create_index("bench", index)
        client.load_collection("bench")

    def find(self, query: F32, bound: float, count: int, expansion: int) -> list[int]:
        """Search with an expression."""
        (hits,) = self._client.search(
            "bench",
            data=[query],
            limit=count,
            filter=f"free < {bound!r}",
            search_params={"metric_type": "IP", "params": {"ef": max(expansion, count)}},
        )
        return [hit["id"] for hit in hits]


PEERS: dict[str, Callable[[], FilteredChroma | FilteredLancedb | FilteredMilvus]] = {
    "chroma": FilteredChroma,
    "lancedb": FilteredLancedb,
    "milvus": FilteredMilvus,
}


def main() -> None:
    """Answer the request on standard input."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    request = json.load(sys.stdin)
    vectors = np.load(request["vectors"], mmap_mode="r")
    peer = PEERS[sys.argv[1]]()
    try:
        _say(f"to take in and index {len(vectors):,} vectors")
        peer.fill(vectors, np.load(request["values"]))
        queries = np.load(request["queries"])
        rows = []
        for bound, path in zip(request["bounds"], request["truths"], strict=True):
            _say(f"to search with a filter that keeps {bound:g}")
            truth = np.load(path)
            rows.append(
                stand(peer.find, queries, bound, truth, request["recall"], request["seconds"])
            )
        answers.write(json.dumps(rows) + "\n")
        answers.flush()
    finally:
        peer.close()


def _say(what: str) -> None:
    print(f"{STEP}{what}, {time.strftime('%H:%M:%S')}", file=sys.stderr, flush=True)


def stand(
    find: Find, queries: F32, bound: float, truth: Any, target: float, seconds: float
) -> dict[str, float]:
    """Return the recall, expansion and queries a second of the least that reaches the target."""
    count = truth.shape[1]
    recall, expansion = 0.0, 0
    for expansion in _EXPANSIONS:
        hits = sum(
            len(set(find(query, bound, count, expansion)) & set(true.tolist()))
            for query, true in zip(queries, truth, strict=True)
        )
        recall = hits / truth.size
        if recall >= target:
            break
    done, started_s = 0, time.perf_counter()
    while time.perf_counter() - started_s < seconds:
        find(queries[done % len(queries)], bound, count, expansion)
        done += 1
    rate = done / (time.perf_counter() - started_s)
    return {"recall": recall, "expansion": expansion, "queries_per_s": rate}


if __name__ == "__main__":
    main()
