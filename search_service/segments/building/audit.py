"""Finds the nodes that a search for their own vector does not reach, and links them.

In any HNSW over real embeddings some nodes cannot be reached (0.1 to 2.5 % were
measured), and inserting with several threads strands a few more. Most have no link
to them from where searches for them end, and half of the room for links is unused:
of 200,000 nodes 1,840 missed themselves, and 45 after those were linked (`python -m
tests.bench.search.walk --items 200000`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from search_service.domain.arrays import F32, I8, I32, I64
from search_service.segments.graph_view import GraphView

# Less than LEAST_CANDIDATES at LEAST_EXPANSION (search_service/segments/api.py):
# what the audit finds is found by queries too, even where another batch size rounds the
# encoding of the same vector in another way.
_AUDIT_CANDIDATES = 12
_AUDIT_EXPANSION = 48
# A missed node is linked from so many of the nodes that were found in its place.
_LINKS = 4
_NO_SIDE: I32 = np.empty(0, dtype=np.int32)
_ROWS = 512

Encoded = Callable[[int, int], "F32 | I8"]
"""(start, stop) → the vectors of these nodes in the graph's form, [stop - start, width]."""


def repair(
    graph: GraphView, encoded: Encoded, threads: int, report: Callable[[], None]
) -> tuple[I64, I64]:
    """Link what is not reached; return the links and what is not reached all the same.

    Links are int64 [n, 2], from and to; they are made in `graph`. What is left is int64
    nodes, ascending, and follows from a search for every node after the last link was
    made. `report` is called now and then.
    """
    missed, instead = _missed(graph, encoded, threads, report)
    links = _link(graph.near, missed, instead)
    if len(links):
        missed, _ = _missed(graph, encoded, threads, report)
    return links, missed


def _missed(
    graph: GraphView, encoded: Encoded, threads: int, report: Callable[[], None]
) -> tuple[I64, I64]:
    """Return the nodes that miss themselves, and what each finds, int64 [n, candidates]."""

    def search(start: int) -> tuple[I64, I64]:
        nodes = np.arange(start, min(start + _ROWS, len(graph)))
        found, _ = graph.search(
            encoded(start, start + len(nodes)),
            _AUDIT_CANDIDATES,
            _AUDIT_EXPANSION,
            side=_NO_SIDE,
            goals=nodes,
        )
        here = found[:, 0] != nodes
        return nodes[here], found[here]

    nodes: list[I64] = [np.empty(0, dtype=np.int64)]
    instead: list[I64] = [np.empty((0, _AUDIT_CANDIDATES), dtype=np.int64)]
    with ThreadPoolExecutor(threads) as pool:
        for some, found in pool.map(search, range(0, len(graph), _ROWS)):
            nodes.append(some)
            instead.append(found)
            report()
    return np.concatenate(nodes), np.concatenate(instead)


def _link(near: I32, missed: I64, instead: I64) -> I64:
    """Link each missed node from the nearest of what it finds that have room."""
    made: list[tuple[int, int]] = []
    for node, found in zip(missed.tolist(), instead.tolist(), strict=True):
        with_room = (each for each in found if each >= 0 and near[each, -1] < 0)
        for host in islice(with_room, _LINKS):
            near[host, int(np.argmin(near[host]))] = node  # -1 is the least: the first free place
            made.append((host, node))
    return np.array(made, dtype=np.int64).reshape(-1, 2)
