"""Lookalike itself, driven like the peers: generated stubs over gRPC on loopback."""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np

from tests.bench.search.peers.protocol import F32, I64, padded

# Where the service listens and what to search, set by the benchmark.
TARGET = "LOOKALIKE_BENCH_TARGET"
COLLECTION = "LOOKALIKE_BENCH_COLLECTION"


class Lookalike:
    """A collection that is filled and indexed already."""

    def __init__(self) -> None:
        # Peers' environments have no gRPC, and this module is imported there too.
        grpc: Any = importlib.import_module("grpc")
        self._messages: Any = importlib.import_module("lookalike.v1.search_pb2")
        stubs: Any = importlib.import_module("lookalike.v1.search_pb2_grpc")
        self._channel = grpc.insecure_channel(os.environ[TARGET])
        self._stub = stubs.SearchServiceStub(self._channel)
        self._collection = os.environ[COLLECTION]

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Nothing is left to do."""

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Search all queries in one request."""
        request = self._messages.SearchRequest(
            collection=self._collection,
            queries=[
                self._messages.Query(vector_f32_le=np.asarray(query, "<f4").tobytes())
                for query in queries
            ],
            limit=count,
            expansion_search=expansion,
        )
        found = self._stub.Search(request).results
        return padded([[int(hit.id) for hit in result.hits] for result in found], count)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()
