"""The nodes that a search of the graph does not reach: few, and all compared."""

from __future__ import annotations

import numpy as np

from lookalike.wire.vectors import F32
from search_service.segments.encoder import Encoder
from search_service.segments.rows import I64
from search_service.segments.scan import best_rows


class SideList:
    """Nodes of a segment beside its graph.

    They are compared in the form that the graph is built on, before it is
    quantised: half as much to read as the rows, and re-ranked like the rest.
    """

    def __init__(self, nodes: I64, rows: F32, encoder: Encoder) -> None:
        """`nodes` is int64 [n]; `rows` are all of the segment, float32 [N, D]."""
        self._nodes = nodes
        self._encoder = encoder
        self._holds = np.zeros(max(len(rows), 1), dtype=np.bool_)
        self._holds[nodes] = True
        reduced = encoder.reduce(rows[nodes])
        # |q - x|^2 is least where q.x - |x|^2 / 2 is greatest: one product.
        halves = -0.5 * np.square(reduced).sum(axis=1, keepdims=True)
        self._points: F32 = np.concatenate([reduced, halves], axis=1)

    def __len__(self) -> int:
        return len(self._nodes)

    def leave_out(self, nodes: I64) -> None:
        """Put -1 where `nodes`, int64 of any shape, names one of these."""
        nodes[self._holds[nodes] & (nodes >= 0)] = -1

    def nearest(self, queries: F32, count: int) -> I64:
        """Return int64 [B, min(count, n)] nodes, in no order; `queries` is float32 [B, D]."""
        ones = np.ones((len(queries), 1), dtype=np.float32)
        points = np.concatenate([self._encoder.reduce(queries), ones], axis=1)
        return self._nodes[best_rows(self._points, points, count)[0]]
