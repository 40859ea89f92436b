"""Libraries that are called in process: usearch, hnswlib, faiss."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tests.bench.search.peers.protocol import F32, I64, padded

_THREADS = 0  # each library's word for "all cores"
_BLOCK_ROWS = 50_000


class Usearch:
    """The raw index in bfloat16 over the full vectors: what Lookalike stands on."""

    def __init__(self, dtype: str = "bf16") -> None:
        self._library: Any = importlib.import_module("usearch.index")
        self._dtype = dtype
        self._index: Any = None

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Add all vectors with all threads."""
        self._index = self._library.Index(
            ndim=vectors.shape[1],
            metric="ip",
            dtype=self._dtype,
            connectivity=connectivity,
            expansion_add=expansion_add,
        )
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            self._index.add(np.arange(start, start + len(rows)), rows, threads=_THREADS)

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search a batch with all threads."""
        self._index.expansion_search = expansion
        found = self._index.search(queries, count, threads=_THREADS)
        keys = np.asarray(found.keys).astype(np.int64).reshape(len(queries), -1)
        return padded(keys.tolist(), count) if keys.shape[1] < count else keys

    def close(self) -> None:
        """Free the index."""
        self._index = None


class Hnswlib:
    """hnswlib over float32."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("hnswlib")
        self._index: Any = None

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Add all vectors with all threads."""
        self._index = self._library.Index(space="ip", dim=vectors.shape[1])
        self._index.init_index(
            max_elements=len(vectors), M=connectivity, ef_construction=expansion_add
        )
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            self._index.add_items(rows, np.arange(start, start + len(rows)))

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search a batch with all threads."""
        self._index.set_ef(expansion)
        keys, _ = self._index.knn_query(queries, k=count)
        found: I64 = keys.astype(np.int64)
        return found

    def close(self) -> None:
        """Free the index."""
        self._index = None


class Faiss:
    """faiss HNSW over float16 codes."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("faiss")
        self._index: Any = None

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Add all vectors with all threads."""
        library = self._library
        self._index = library.IndexHNSWSQ(
            vectors.shape[1],
            library.ScalarQuantizer.QT_fp16,
            connectivity,
            library.METRIC_INNER_PRODUCT,
        )
        self._index.hnsw.efConstruction = expansion_add
        self._index.train(np.asarray(vectors[:1_000]))
        for start in range(0, len(vectors), _BLOCK_ROWS):
            self._index.add(np.asarray(vectors[start : start + _BLOCK_ROWS]))

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search a batch with all threads."""
        self._index.hnsw.efSearch = expansion
        _, keys = self._index.search(queries, count)
        found: I64 = keys
        return found

    def close(self) -> None:
        """Free the index."""
        self._index = None
