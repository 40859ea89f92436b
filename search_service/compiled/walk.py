"""Searches an HNSW graph: the same walk as usearch's, without waiting for memory.

A walk visits nodes all over the memory, and waits for the vector of each much longer
than it compares it: of 200,000 x 256 bytes, usearch 2.26.6 took 556 to 665 ns a
comparison, and the same comparisons 111 to 123 with each node's vector asked for some
nodes ahead (2 cores of an AMD EPYC with AVX2; `python -m tests.bench.search.walk
--items 200000`). The walk also looks only for nodes that are wanted, serves several
threads at once, and ends where its comparisons are used up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from search_service.compiled.heap import push, sink
from search_service.compiled.intrinsics import prefetch
from search_service.compiled.jit import compiled, inlined
from search_service.compiled.metric import Metric, rank_of
from search_service.compiled.packing import NOT_PACKED, Packed, fetch_packed, unpack
from search_service.domain.arrays import F32, F64, I32, I64, Flags

# Vectors asked for ahead of the one that is compared; fewer come late, and more than
# the processor keeps track of wait for each other.
_AHEAD = 6
# Bytes of links: half of them is what a node of 32 links has on average.
_LINKS_FETCHED = 192
# Rank in the upper half of an int, node in the lower.
_NODE = 0xFFFFFFFF
_QUEUE = 1_024
# So many nodes say which share of those near a query is wanted.
_TELLING = 512
# A walk is given up where that is a smaller part of the share of all: what is wanted lies
# far from the query, and the walk would go through all that is near. Of 100,000 x 512 no walk
# was for filters at random or near the query, 12 % with values that follow the vectors, and all
# for the farthest half, tenth and twentieth.
_LEAST_PART = 0.35


class Links(NamedTuple):
    """Who is linked to whom: nodes int32, rows padded with -1.

    `near` [N, 2M] on the lowest level, or [0, 2M] where those are `packed`; `above`
    [U, M] on the others, where `first` [N] names a node's row on level 1, followed by
    those of its higher levels, or -1.
    `entry` is on level `levels`, the highest.
    """

    near: I32
    first: I32
    above: I32
    entry: int
    levels: int
    packed: Packed = NOT_PACKED


class Wanted(NamedTuple):
    """Which nodes may be found: those with an ordinal that counts; all where `every`.

    Node n has the ordinals `ordinals[offsets[n]:offsets[n + 1]]`, int64; one counts
    that died after `epoch` by `died_at`, int64, and is `allowed`, bool. `share` of all
    nodes are such; 0.0 where that is not to be made use of.
    """

    every: bool
    offsets: I64
    ordinals: I64
    died_at: I64
    epoch: int
    allowed: Flags
    share: float = 0.0


@inlined
def counts(wanted: Wanted, node: int) -> bool:
    """Say whether a node may be found."""
    if wanted.every:
        return True
    for place in range(wanted.offsets[node], wanted.offsets[node + 1]):
        ordinal = wanted.ordinals[place]
        if wanted.allowed[ordinal] and wanted.died_at[ordinal] > wanted.epoch:
            return True
    return False


@inlined
def fetch_vector(address: int, width_bytes: int) -> None:
    """Ask for the lines of a vector."""
    for start in range(0, width_bytes, 64):
        prefetch(address + start)


@compiled
def descend(
    metric: Metric,
    codes: int,
    links: Links,
    query: int,
    slot: int,
    whole: I32,
    half: F32,
    wide: F64,
) -> tuple[int, int, int]:
    """Go down to the lowest level, always to the nearest; return (item, node, compared)."""
    node = int(links.entry)
    rank = rank_of(metric, query, codes + node * metric.width_bytes, slot, whole, half, wide)
    compared = 1
    for level in range(links.levels, 0, -1):
        nearer = True
        while nearer:
            nearer = False
            row = links.above[links.first[node] + level - 1]
            for link in row:
                if link < 0:
                    break
                compared += 1
                address = codes + int(link) * metric.width_bytes
                other = rank_of(metric, query, address, slot, whole, half, wide)
                if other < rank:
                    rank, node, nearer = other, int(link), True
    return (rank << 32) | node, node, compared


@compiled
def walk(
    metric: Metric,
    codes: int,
    links: Links,
    side: I32,
    wanted: Wanted,
    queries: int,
    expansion: int,
    patience: int,
    most: int,
    goals: I64,
    found: I64,
    ended: Flags,
) -> int:
    """Fill `found`, int64 [B, C], with the nearest nodes to B queries, padded with -1.

    `codes` and `queries` are addresses of encoded vectors, one after the other; `side`
    int32 are nodes that the graph does not reach, which are all compared. Up to
    `expansion` (at least C) wanted nodes are kept, and a query ends when none nearer is
    linked to them. One that has compared `most` vectors by then, or `patience` before it
    kept `expansion` nodes, is given up: its flag in `ended`, bool [B], is not set. So is
    one around which much less is wanted than of all (`Wanted.share`). Of a share s of what
    is near, the walk keeps `expansion` times the root of s: it passes 1 / s as many nodes
    for each that it keeps, and finds as much with fewer.
    With `goals`, int64 [B] or none, a query that reaches its goal ends there, and finds
    it alone. Returns the number of comparisons.
    """
    scratch = np.zeros(1, dtype=np.uint64)
    slot = scratch.ctypes.data
    whole, half, wide = scratch.view(np.int32), scratch.view(np.float32), scratch.view(np.float64)
    seen = np.zeros((len(links.first) + 63) >> 6, dtype=np.uint64)
    queue = np.empty(_QUEUE, dtype=np.int64)
    best = np.empty(expansion, dtype=np.int64)  # negative, so that the farthest is first
    fresh = np.empty(links.near.shape[1] + len(side), dtype=np.int64)
    unpacked = np.empty(links.near.shape[1], dtype=np.int32)
    packed = links.packed.bits > 0
    total = 0
    for number in range(len(found)):
        query = queries + number * metric.width_bytes
        seen[:] = 0
        item, node, compared = descend(metric, codes, links, query, slot, whole, half, wide)
        seen[node >> 6] |= np.uint64(1) << np.uint64(node & 63)
        queue[0] = item
        waiting, kept, limit = 1, 0, expansion
        passed = met = 0
        full = False
        if counts(wanted, node):
            best[0] = -item
            kept = 1
        sides = False
        goal = goals[number] if len(goals) else -1
        reached = node == goal
        while not (sides or reached):
            done = waiting == 0 or (kept == limit and queue[0] > -best[0])
            new = 0
            if done:  # what the walk did not reach is compared at last
                sides = True
                for node in side:
                    if not seen[node >> 6] & (np.uint64(1) << np.uint64(node & 63)):
                        fresh[new] = node
                        new += 1
            elif (
                compared >= most
                or (not full and compared >= patience)
                or (passed >= _TELLING and met < _LEAST_PART * wanted.share * passed)
            ):
                break
            else:
                if packed:
                    near = unpack(links.packed, queue[0] & _NODE, unpacked)
                else:
                    near = links.near[queue[0] & _NODE]
                waiting -= 1
                sink(queue, waiting, queue[waiting])
                for link in near:
                    if link < 0:
                        break
                    bit = np.uint64(1) << np.uint64(link & 63)
                    if not seen[link >> 6] & bit:
                        seen[link >> 6] |= bit
                        fresh[new] = link
                        new += 1
            for place in range(min(_AHEAD, new)):
                fetch_vector(codes + fresh[place] * metric.width_bytes, metric.width_bytes)
            for place in range(new):
                if place + _AHEAD < new:
                    ahead = codes + fresh[place + _AHEAD] * metric.width_bytes
                    fetch_vector(ahead, metric.width_bytes)
                node = fresh[place]
                if node == goal:
                    reached = True
                    break
                address = codes + node * metric.width_bytes
                item = rank_of(metric, query, address, slot, whole, half, wide) << 32 | node
                if kept == limit and item >= -best[0]:
                    continue
                passed += 1
                if not sides:
                    if waiting == len(queue):
                        queue = np.append(queue, np.empty(len(queue), dtype=np.int64))
                    push(queue, waiting, item)
                    waiting += 1
                if not counts(wanted, node):
                    continue
                met += 1
                if kept < limit:
                    push(best, kept, -item)
                    kept += 1
                else:
                    sink(best, kept, -item)
            compared += new
            full |= kept == limit
            if wanted.share > 0.0 and passed >= _TELLING:
                limit = max(len(found[number]), int(expansion * np.sqrt(met / passed)))
                while kept > limit:
                    kept -= 1
                    sink(best, kept, best[kept])
            if waiting and packed:
                fetch_packed(links.packed, queue[0] & _NODE)
            elif waiting:
                fetch_vector(links.near[queue[0] & _NODE].ctypes.data, _LINKS_FETCHED)
        ended[number] = sides or reached
        total += compared
        if reached:
            best[0] = -goal
            kept = 1
        take_best(best, kept, found[number])
    return total


@inlined
def take_best(best: I64, kept: int, row: I64) -> None:
    """Move the nearest of a heap of negative items to `row`, nearest first, then -1."""
    count = len(row)
    while kept > count:
        kept -= 1
        sink(best, kept, best[kept])
    row[kept:] = -1
    while kept > 0:
        kept -= 1
        row[kept] = -best[0] & _NODE
        sink(best, kept, best[kept])


@compiled
def compare_some(metric: Metric, codes: int, nodes: I64, queries: int, found: I64) -> None:
    """Fill `found`, int64 [B, C], with the nearest of `nodes`, int64 [n], padded with -1."""
    scratch = np.zeros(1, dtype=np.uint64)
    slot = scratch.ctypes.data
    whole, half, wide = scratch.view(np.int32), scratch.view(np.float32), scratch.view(np.float64)
    best = np.empty(found.shape[1], dtype=np.int64)
    for number in range(len(found)):
        query = queries + number * metric.width_bytes
        kept = 0
        for place in range(len(nodes)):
            if place + _AHEAD < len(nodes):
                fetch_vector(codes + nodes[place + _AHEAD] * metric.width_bytes, metric.width_bytes)
            node = nodes[place]
            address = codes + node * metric.width_bytes
            item = rank_of(metric, query, address, slot, whole, half, wide) << 32 | node
            if kept < len(best):
                push(best, kept, -item)
                kept += 1
            elif item < -best[0]:
                sink(best, kept, -item)
        take_best(best, kept, found[number])
