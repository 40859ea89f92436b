"""The HNSW graph while it is built: the only module that knows usearch.

Files are handed to usearch only after their checksum has been verified: it
crashes on damaged ones and accepts those of another dimension in silence.
`graph_view.py` searches what is written here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from usearch import index as usearch

from search_service.domain.arrays import F32, I8
from search_service.domain.collection import Dtype, IndexSettings
from search_service.segments.codes import uses_inner_product
from search_service.segments.huge_pages import ask_for_huge_pages

# usearch's annotations leave out what they are for: enums and settable properties.
_usearch: Any = usearch
# Links are better where what is finer than the searched form made them, and a file can
# be added to: readers make four bits of its eight.
_BUILT_AS = {Dtype.I4: Dtype.I8}


class Graph:
    """Nodes 0 … N-1 over encoded vectors, float32 or int8 [N, width]."""

    def __init__(self, settings: IndexSettings, width: int, *, reduced: bool) -> None:
        """Make an empty graph."""
        inner_product = uses_inner_product(settings.dtype, reduced=reduced)
        self._index: Any = _usearch.Index(
            ndim=width,
            metric="ip" if inner_product else "l2sq",
            dtype=_BUILT_AS.get(settings.dtype, settings.dtype).value,
            connectivity=settings.connectivity,
            expansion_add=settings.expansion_add,
            # Nodes are never looked up or removed: half a hash table per node is saved.
            enable_key_lookups=False,
        )
        self._expansion_add = settings.expansion_add

    def __len__(self) -> int:
        return len(self._index)

    def add(self, vectors: F32 | I8, threads: int) -> None:
        """Append nodes. With more than one thread some may be left unreachable."""
        start = len(self._index)
        keys = np.arange(start, start + len(vectors), dtype=np.uint64)
        ask_for_huge_pages()
        self._index.add(keys, vectors, threads=threads)

    def save(self, path: Path) -> None:
        """Write the graph to a new file; holds the GIL."""
        self._index.save(str(path))

    def load(self, path: Path) -> None:
        """Read a verified file into memory, to be added to."""
        self._index.load(str(path))
        self._index.expansion_add = self._expansion_add

    def close(self) -> None:
        """Let go of the memory."""
        self._index.reset()
