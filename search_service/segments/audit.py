"""Finds the nodes that a search for their own vector does not reach.

In any HNSW over real embeddings some nodes cannot be reached (0.1 to 2.5 % were
measured), and inserting with several threads strands a few more.
"""

from __future__ import annotations

import numpy as np

from lookalike.wire.vectors import F32
from search_service.segments.encoder import I8
from search_service.segments.graph import Graph
from search_service.segments.rows import I64

# Every query is answered with at least LEAST_CANDIDATES at LEAST_EXPANSION. The
# audit asks for more: what it finds is found by queries too, even where another
# batch size rounds the encoding of the same vector in another way.
LEAST_CANDIDATES = 16
LEAST_EXPANSION = 64
_AUDIT_CANDIDATES = 12
_AUDIT_EXPANSION = 48


def unreachable_nodes(graph: Graph, encoded: F32 | I8, first: int, threads: int) -> I64:
    """Return which of the nodes from `first` on miss themselves, counted from it.

    `encoded` holds their vectors, [n, width].
    """
    found = graph.search(encoded, _AUDIT_CANDIDATES, _AUDIT_EXPANSION, threads)
    nodes = np.arange(first, first + len(encoded))[:, None]
    return np.flatnonzero(~(found == nodes).any(axis=1))
