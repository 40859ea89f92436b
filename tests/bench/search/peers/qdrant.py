"""Qdrant's engine in process: HNSW over int8, re-scored on the full vectors."""

from __future__ import annotations

import importlib
import os
import tempfile
from typing import Any

import numpy as np

from tests.bench.search.peers.protocol import F32, I64, padded

# An .npz of one integer for each vector under the name of each field, set by the benchmark.
FIELDS = "LOOKALIKE_BENCH_FIELDS"

_BLOCK_ROWS = 5_000
# Below so many KB a search compares everything, and a segment gets no graph.
_FULL_SCAN_KB = _UNINDEXED_KB = 1_000
_ONE_SEGMENT_KB = 1 << 30
_OVERSAMPLING = 3.0


class QdrantEdge:
    """Without a payload."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("qdrant_edge")
        self._directory = tempfile.TemporaryDirectory(prefix="bench-qdrant-")
        self._shard: Any = None
        self._filter: Any = None
        self._acorn: Any = None

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Upsert everything, then have the graph built."""
        self._fill(vectors, connectivity, expansion_add, {}, None)

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search a batch in one call."""
        requests = [self._request(query, count, expansion) for query in queries]
        if len(requests) == 1:
            found = [self._shard.query(requests[0])]
        else:
            found = self._shard.query_batch(self._library.QueryBatchRequest(requests))
        return padded([[point.id for point in points] for points in found], count)

    def close(self) -> None:
        """Remove its files."""
        if self._shard is not None:
            self._shard.close()
        self._directory.cleanup()

    def _fill(
        self,
        vectors: F32,
        connectivity: int,
        expansion_add: int,
        fields: dict[str, I64],
        index: Any,
    ) -> None:
        """Upsert with a payload, int64 [N] a field, each with an index."""
        edge = self._library
        settings = edge.EdgeConfig(
            vectors={"v": edge.EdgeVectorParams(vectors.shape[1], edge.Distance.Dot)},
            hnsw_config=edge.HnswIndexConfig(connectivity, expansion_add, _FULL_SCAN_KB),
            quantization_config=edge.ScalarQuantizationConfig(
                edge.ScalarType.Int8, memory=edge.Memory.Pinned
            ),
            optimizers=edge.EdgeOptimizersConfig(
                default_segment_number=1,
                max_segment_size=_ONE_SEGMENT_KB,
                indexing_threshold=_UNINDEXED_KB,
            ),
            wal_enabled=False,
        )
        self._shard = edge.EdgeShard.create(self._directory.name, settings)
        for name in fields:
            self._shard.update(edge.UpdateOperation.create_field_index(name, index))
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = np.asarray(vectors[start : start + _BLOCK_ROWS])
            points = [
                edge.Point(
                    key,
                    {"v": row.tolist()},
                    {name: int(values[key]) for name, values in fields.items()},
                )
                for key, row in enumerate(rows, start)
            ]
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        self._shard.flush()
        self._shard.optimize()

    def _request(self, query: F32, count: int, expansion: int) -> Any:
        edge = self._library
        return edge.QueryRequest(
            limit=count,
            query=edge.Query.Nearest(query.tolist(), using="v"),
            filter=self._filter,
            params=edge.SearchParams(
                hnsw_ef=max(count, expansion),
                quantization=edge.QuantizationSearchParams(
                    rescore=True, oversampling=_OVERSAMPLING
                ),
                acorn=self._acorn,
            ),
            with_vector=False,
            with_payload=False,
        )


class QdrantEdgeLinked(QdrantEdge):
    """With fields in the payload, an index of each, and links among the items of a value."""

    links = True

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Upsert everything with its fields."""
        fields = dict(np.load(os.environ[FIELDS]))
        index = self._library.IntegerIndexParams(lookup=True, range=False, enable_hnsw=self.links)
        self._fill(vectors, connectivity, expansion_add, fields, index)

    def narrow(self, field: str, value: int) -> None:
        """Find only what holds `value` in `field` from now on."""
        edge = self._library
        condition = edge.FieldCondition(field, match=edge.MatchValue(value))
        self._filter = edge.Filter(must=[condition])


class QdrantEdgeAcorn(QdrantEdgeLinked):
    """With an index of each field but no links; searches look past what does not match."""

    links = False

    def narrow(self, field: str, value: int) -> None:
        """As above, with ACORN whatever the share that matches."""
        super().narrow(field, value)
        self._acorn = self._library.AcornSearchParams(enable=True, max_selectivity=1.0)
