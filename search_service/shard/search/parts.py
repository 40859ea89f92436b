"""Cuts a search of segments into parts for all threads, and joins what they find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search_service.domain.arrays import F32, I64
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.ranking import LEAST
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.tuning import PARTS_A_THREAD


@dataclass(frozen=True, slots=True)
class Part:
    """What one thread does: some queries, in one segment, or in a share of its nodes."""

    sealed: Sealed
    span: slice
    share: int
    shares: int


class Nodes(NamedTuple):
    """Nodes of a segment for each query, int64 [B, C], -1 for none.

    Their scores are exact, float32 [B, C], -inf where there is no node.
    """

    sealed: Sealed
    nodes: I64
    scores: F32


def search_parts(
    segments: Sequence[Sealed],
    queries: F32,
    find: Callable[[Part], tuple[I64, F32]],
    pool: ScanPool,
    *,
    share_nodes: bool = False,
) -> list[Nodes]:
    """Return for each segment what `find` finds and scores exactly, part by part."""
    step = max(1, -(-len(queries) // (pool.threads * PARTS_A_THREAD)))
    alone = len(queries) * len(segments) < pool.threads
    shares = pool.threads if share_nodes and alone else 1
    parts = [
        Part(sealed, slice(start, start + step), share, shares)
        for sealed in segments
        for start in range(0, len(queries), step)
        for share in range(shares)
    ]
    done = list(pool.map(find, parts))
    joined: list[Nodes] = []
    for sealed in segments:
        mine = [each for part, each in zip(parts, done, strict=True) if part.sealed is sealed]
        # Shares stand beside each other, spans of queries below each other.
        rows = [mine[start : start + shares] for start in range(0, len(mine), shares)]
        nodes = _joined([[nodes for nodes, _ in row] for row in rows], -1)
        scores = _joined([[scores for _, scores in row] for row in rows], LEAST)
        joined.append(Nodes(sealed, nodes, scores))
    return joined


def _joined(rows: list[list[NDArray[Any]]], missing: Any) -> NDArray[Any]:
    """Join rows of arrays, which may be of different width."""
    if len(rows) == len(rows[0]) == 1:
        return rows[0][0]
    beside = [np.concatenate(row, axis=1) for row in rows]
    width = max(row.shape[1] for row in beside)
    padded = [
        np.pad(row, ((0, 0), (0, width - row.shape[1])), constant_values=missing) for row in beside
    ]
    return np.concatenate(padded)
