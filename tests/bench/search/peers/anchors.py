"""The fastest libraries known, in process: SVS, ScaNN, zvec.

`expansion` is each one's own word for how far a search goes: the search window of SVS,
the leaves of ScaNN, the `ef` of zvec. They are built as their makers advise.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.search.peers.protocol import F32, I64, padded

_BLOCK_ROWS = 1_000
# Of SVS: the greatest degree and the window of a build, and the pruning for inner products.
_DEGREE, _WINDOW, _ALPHA = 64, 200, 0.95
# ScaNN: two components a block, hashed with this threshold, as in its own example.
_BLOCK_DIMENSIONS, _THRESHOLD = 2, 0.2
# Candidates that ScaNN compares exactly, for each hit and for each leaf.
_REORDERED, _REORDERED_A_LEAF = 10, 4


class _Svs:
    """Vamana of Scalable Vector Search; it compresses on Intel's processors only."""

    def __init__(self) -> None:
        self.library: Any = importlib.import_module("svs")
        self._directory = tempfile.TemporaryDirectory(prefix="bench-svs-")
        self._index: Any = None

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Write the vectors in its own form, then build with all threads."""
        svs = self.library
        named = str(Path(self._directory.name) / "base.fvecs")
        kept = str(Path(self._directory.name) / "base.svs")
        svs.write_vecs(np.ascontiguousarray(vectors), named)
        svs.convert_vecs_to_svs(named, kept)
        Path(named).unlink()
        loader = svs.VectorDataLoader(kept, svs.DataType.float32, dims=vectors.shape[1])
        self._index = svs.Vamana.build(
            svs.VamanaBuildParameters(alpha=_ALPHA, graph_max_degree=_DEGREE, window_size=_WINDOW),
            self.compressed(loader, vectors.shape[1]),
            svs.DistanceType.MIP,
            num_threads=os.cpu_count() or 1,
        )

    def compressed(self, loader: Any, dimension: int) -> Any:
        """Return a loader that compresses what `loader` reads."""
        raise NotImplementedError

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search a batch with all threads, one query with one."""
        svs, window = self.library, max(count, expansion)
        threads = min(len(queries), os.cpu_count() or 1)
        if self._index.num_threads != threads:
            self._index.num_threads = threads
        parameters = self._index.search_parameters
        if parameters.buffer_config.search_window_size != window:
            parameters.buffer_config = svs.SearchBufferConfig(window, 2 * window)
            self._index.search_parameters = parameters
        keys, _ = self._index.search(queries, count)
        found: I64 = np.asarray(keys).astype(np.int64)
        return found

    def close(self) -> None:
        """Free the index."""
        self._index = None
        self._directory.cleanup()


class SvsLvq(_Svs):
    """With LVQ: four bits, and eight of what these leave for re-ranking."""

    def compressed(self, loader: Any, dimension: int) -> Any:
        """Compress all dimensions."""
        return self.library.LVQLoader(loader, primary=4, residual=8)


class SvsLeanVec(_Svs):
    """With LeanVec: half of the principal components in eight bits, all for re-ranking."""

    def compressed(self, loader: Any, dimension: int) -> Any:
        """Compress what is left of the dimensions."""
        kind = self.library.LeanVecKind.lvq8
        return self.library.LeanVecLoader(loader, dimension // 2, kind, kind)


class Scann:
    """ScaNN's tree with asymmetric hashing, re-ordered exactly."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("scann")
        self._searcher: Any = None
        self._leaves = 1

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Train on all vectors; leaves as many as the root of their number, twice."""
        self._leaves = 2 * int(np.sqrt(len(vectors)))
        builder = self._library.scann_ops_pybind.builder(
            np.ascontiguousarray(vectors), 10, "dot_product"
        )
        self._searcher = (
            builder.tree(
                num_leaves=self._leaves,
                num_leaves_to_search=self._leaves // 10,
                training_sample_size=len(vectors),
            )
            .score_ah(_BLOCK_DIMENSIONS, anisotropic_quantization_threshold=_THRESHOLD)
            .reorder(100)
            .build()
        )

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search a batch with all threads."""
        leaves = min(self._leaves, expansion)
        reordered = _REORDERED * count + _REORDERED_A_LEAF * leaves
        if len(queries) == 1:
            keys, _ = self._searcher.search(queries[0], count, reordered, leaves)
            return padded([np.asarray(keys).tolist()], count)
        keys, _ = self._searcher.search_batched_parallel(queries, count, reordered, leaves, 32)
        found: I64 = np.asarray(keys).astype(np.int64)
        return found

    def close(self) -> None:
        """Free the index."""
        self._searcher = None


class Zvec:
    """zvec's HNSW in int8; a call for each query, for it has none for several."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("zvec")
        self._directory = tempfile.TemporaryDirectory(prefix="bench-zvec-")
        self._collection: Any = None

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Insert everything, then have the graph built."""
        zvec = self._library
        index = zvec.HnswIndexParam(
            metric_type=zvec.MetricType.IP,
            m=connectivity,
            ef_construction=expansion_add,
            quantize_type=zvec.QuantizeType.INT8,
        )
        schema = zvec.CollectionSchema(
            "bench",
            vectors=zvec.VectorSchema(
                "v", zvec.DataType.VECTOR_FP32, dimension=vectors.shape[1], index_param=index
            ),
        )
        path = str(Path(self._directory.name) / "data")
        self._collection = zvec.create_and_open(path=path, schema=schema)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            docs = [
                zvec.Doc(str(key), vectors={"v": row.tolist()})
                for key, row in enumerate(rows, start)
            ]
            for status in self._collection.insert(docs):
                if not status.ok():
                    raise RuntimeError(f"an insertion failed: {status}")
        self._collection.optimize()

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search query by query, re-ranked on the full vectors."""
        param = self._library.HnswQueryParam(ef=max(count, expansion), is_using_refiner=True)
        asked = self._library.Query
        found = [
            self._collection.query(
                asked("v", vector=query.tolist(), param=param), topk=count, output_fields=[]
            )
            for query in queries
        ]
        return padded([[int(doc.id) for doc in docs] for docs in found], count)

    def close(self) -> None:
        """Remove its files."""
        self._collection = None
        self._directory.cleanup()
