"""The HNSW graph: the only module that knows usearch.

Files are handed to usearch only after their checksum has been verified: it
crashes on damaged ones and accepts those of another dimension in silence.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from usearch import index as usearch

from lookalike.wire.vectors import F32
from search_service.segments.encoder import I8
from search_service.segments.rows import I64
from search_service.shard.types import Dtype, IndexSettings

# usearch's annotations leave out what they are for: enums and settable properties.
_usearch: Any = usearch


class Graph:
    """Nodes 0 … N-1 over encoded vectors, float32 or int8 [N, width]."""

    def __init__(self, settings: IndexSettings, width: int, *, reduced: bool) -> None:
        """Make an empty graph.

        Components are compared by squared distance. Unit vectors use the inner
        product, the same order and faster, but not as i8, where rounding leaves
        them with unequal norms.
        """
        exact_unit = not reduced and settings.dtype is not Dtype.I8
        self._index: Any = _usearch.Index(
            ndim=width,
            metric="ip" if exact_unit else "l2sq",
            dtype=settings.dtype.value,
            connectivity=settings.connectivity,
            expansion_add=settings.expansion_add,
            # Nodes are never looked up or removed: half a hash table per node is saved.
            enable_key_lookups=False,
        )
        self._expansion_add = settings.expansion_add
        # The expansion belongs to the index, not to the call; usearch serialises
        # calls on one index anyway.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._index)

    def add(self, vectors: F32 | I8, threads: int) -> None:
        """Append nodes. With more than one thread some may be left unreachable."""
        start = len(self._index)
        keys = np.arange(start, start + len(vectors), dtype=np.uint64)
        self._index.add(keys, vectors, threads=threads)

    def search(self, queries: F32 | I8, count: int, expansion: int, threads: int) -> I64:
        """Return int64 [B, count] nodes, nearest first, padded with -1.

        `queries` is [B, width]. The GIL is released while it runs.
        """
        if not len(queries):
            return np.empty((0, count), dtype=np.int64)
        with self._lock:
            self._index.expansion_search = expansion
            found = self._index.search(queries, count, threads=threads)
        keys = np.asarray(found.keys).view(np.int64).reshape(len(queries), -1)
        if len(queries) == 1:  # usearch cuts a single row to what was found
            padded = np.full((1, count), -1, dtype=np.int64)
            padded[:, : keys.shape[1]] = keys
            return padded
        keys[np.arange(count) >= np.asarray(found.counts)[:, None].astype(np.int64)] = -1
        return keys

    def save(self, path: Path) -> None:
        """Write the graph to a new file; holds the GIL."""
        self._index.save(str(path))

    def load(self, path: Path) -> None:
        """Read a verified file into memory, to be added to."""
        self._index.load(str(path))
        self._index.expansion_add = self._expansion_add

    def view(self, path: Path) -> None:
        """Map a verified file: read-only, same cost a query as `load`."""
        self._index.view(str(path))

    def close(self) -> None:
        """Let go of memory and mapping."""
        with self._lock:
            self._index.reset()
