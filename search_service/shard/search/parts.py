"""Cuts a search of segments into parts for all threads, and joins what they find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from search_service.domain.arrays import F32, I64
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.exact import scores_each
from search_service.shard.search.reranks import RerankTimes
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
    find: Callable[[Part], I64],
    pool: ScanPool,
    reranks: RerankTimes,
    *,
    share_nodes: bool = False,
) -> list[Nodes]:
    """Return for each segment what `find` finds, part by part, with exact scores."""
    step = max(1, -(-len(queries) // (pool.threads * PARTS_A_THREAD)))
    alone = len(queries) * len(segments) < pool.threads
    shares = pool.threads if share_nodes and alone else 1
    parts = [
        Part(sealed, slice(start, start + step), share, shares)
        for sealed in segments
        for start in range(0, len(queries), step)
        for share in range(shares)
    ]

    def find_and_score(part: Part) -> tuple[I64, F32]:
        nodes = find(part)
        with reranks.timed():
            return nodes, scores_each(part.sealed.rows, nodes, queries[part.span])

    done = list(pool.map(find_and_score, parts))
    joined: list[Nodes] = []
    for sealed in segments:
        mine = [each for part, each in zip(parts, done, strict=True) if part.sealed is sealed]
        # Shares stand beside each other, spans of queries below each other.
        rows = [mine[start : start + shares] for start in range(0, len(mine), shares)]
        nodes = np.concatenate([np.concatenate([n for n, _ in row], axis=1) for row in rows])
        scores = np.concatenate([np.concatenate([s for _, s in row], axis=1) for row in rows])
        joined.append(Nodes(sealed, nodes, scores))
    return joined
