"""The graphs of a running service, searched by raw usearch in this process."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from usearch import index as usearch

from lookalike.wire.vectors import F32
from search_service.segments.encoder import Encoder
from search_service.segments.manifest import ENCODER, GRAPH, MANIFEST
from tests.bench.search.peers.environment import Missing
from tests.bench.search.vectors import I64

_usearch: Any = usearch
_BATCH = 1_024


@dataclass(frozen=True)
class Ceiling:
    """Batch search of the same graphs, without gRPC, re-ranking or anything else.

    The candidates are those that the service re-ranks: re-ranked outside of the
    timing, they give the recall of the service.
    """

    graphs: tuple[tuple[Any, Encoder], ...]

    @staticmethod
    def of(data: Path, dimension: int) -> Ceiling:
        """Map every graph below the data directory of a service."""
        graphs = []
        for path in data.rglob(GRAPH):
            index = _usearch.Index.restore(str(path), view=True)
            body = json.loads((path.parent / MANIFEST).read_bytes())["manifest"]
            encoder = Encoder.read(
                path.parent / ENCODER,
                dimension,
                body["graph_dimension"],
                body["quantum"],
                body["captured_energy"],
            )
            graphs.append((index, encoder))
        if not graphs:
            raise Missing("the service has no graph")
        return Ceiling(tuple(graphs))

    def candidates(self, queries: F32, fetch: int, expansion: int) -> list[I64]:
        """Return the nodes of the first graph for each query, nearest first."""
        index, encoder = self.graphs[0]
        index.expansion_search = expansion
        found = index.search(encoder.encode(queries), fetch, threads=0)
        return list(np.asarray(found.keys).astype(np.int64))

    def queries_per_s(self, queries: F32, *, fetch: int, expansion: int, seconds: float) -> float:
        """Search float32 [Q, D] over and over in batches of 1,024 with all threads."""
        repeated = np.resize(queries, (max(_BATCH, len(queries)), queries.shape[1]))
        encoded = [(index, encoder.encode(repeated)) for index, encoder in self.graphs]
        for index, _ in encoded:
            index.expansion_search = expansion
        calls = 0
        started_s = time.perf_counter()
        while time.perf_counter() - started_s < seconds:
            for index, batch in encoded:
                index.search(batch, fetch, threads=0)
            calls += 1
        return calls * len(repeated) / (time.perf_counter() - started_s)
