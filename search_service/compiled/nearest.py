"""Compares nodes in their compact form, and as many of the nearest exactly as it takes.

How far the exact score is from what the compact form says is measured on the nodes that
were compared exactly; the next nearest are compared until none of them could reach the
best by several standard deviations of that.
"""

from __future__ import annotations

import mmap

import numpy as np

from search_service.compiled.heap import arrange, push, sink
from search_service.compiled.intrinsics import call_metric
from search_service.compiled.jit import compiled, inlined
from search_service.compiled.metric import (
    PRODUCT_F32,
    PRODUCT_F64,
    SQUARED_U32,
    Metric,
    rank_of,
)
from search_service.compiled.products import clipped, fetch_row
from search_service.compiled.reading import expect_row
from search_service.compiled.walk import fetch_vector
from search_service.domain.arrays import F32, I32, I64

_AHEAD = 6
_NODE = 0xFFFFFFFF
_WILL_NEED = int(mmap.MADV_WILLNEED)


@inlined
def value_of(metric: Metric, rank: int, unit: float, whole: I32, half: F32) -> float:
    """Return what a rank says of a cosine, less a constant: see `rank_of`."""
    if metric.result == SQUARED_U32:
        return -0.5 * unit * rank
    whole[0] = rank
    if metric.result == PRODUCT_F32 or metric.result == PRODUCT_F64:
        return -float(half[0])
    return -0.5 * float(half[0])


@compiled
def nearest_exactly(
    metric: Metric,
    codes: int,
    nodes: I64,
    scalars: int,
    unit: float,
    product: int,
    rows: int,
    queries: int,
    width: int,
    count: int,
    block: int,
    deviations: float,
    advise: int,
    page_bytes: int,
    found: I64,
    scores: F32,
) -> int:
    """Fill `found`, int64 [B, C], and `scores`, float32 [B, C], with rows compared exactly.

    `codes` and `scalars` are the addresses of encoded nodes and queries, `rows` and
    `queries` those of float32 [*, width]; `unit` is the squared length of a step of the
    codes; `advise`, if not 0, is what asks the system for rows (`reading.py`). The rest is
    -1 and -inf. The best `count` are wanted: a query ends when the next of `nodes` is
    `deviations` standard deviations from being one of them. Returns the greatest number of
    rows that a query compared.
    """
    scratch = np.zeros(1, dtype=np.uint64)
    slot = scratch.ctypes.data
    whole, half, wide = scratch.view(np.int32), scratch.view(np.float32), scratch.view(np.float64)
    heap = np.empty(len(nodes), dtype=np.int64)
    best = np.empty(count, dtype=np.float64)
    taken = np.empty(block, dtype=np.int64)
    expected = np.empty(block, dtype=np.float64)
    greatest = 0
    for number in range(len(found)):
        query = scalars + number * metric.width_bytes
        for place in range(len(nodes)):
            if place + _AHEAD < len(nodes):
                fetch_vector(codes + nodes[place + _AHEAD] * metric.width_bytes, metric.width_bytes)
            address = codes + nodes[place] * metric.width_bytes
            rank = rank_of(metric, query, address, slot, whole, half, wide)
            heap[place] = rank << 32 | nodes[place]
        left = len(nodes)
        arrange(heap, left)
        exact = queries + number * width * 4
        done = kept = 0
        mean = spread = 0.0
        most = found.shape[1]
        while left > 0 and done < most:
            if kept == count and done >= block:
                next_score = value_of(metric, heap[0] >> 32, unit, whole, half) + mean
                if next_score + deviations * np.sqrt(spread / done) < best[0]:
                    break
            some = min(block, left, most - done)
            for place in range(some):
                taken[place] = heap[0] & _NODE
                expected[place] = value_of(metric, heap[0] >> 32, unit, whole, half)
                left -= 1
                if left:
                    sink(heap, left, heap[left])
                if advise:
                    row = rows + taken[place] * width * 4
                    expect_row(advise, row, width * 4, page_bytes, _WILL_NEED)
                else:
                    fetch_row(rows + taken[place] * width * 4)
            for place in range(some):
                node = taken[place]
                call_metric(product, exact, rows + node * width * 4, width, slot)
                score = clipped(wide[0])
                found[number, done] = node
                scores[number, done] = score
                done += 1
                off = score - expected[place]
                before = off - mean
                mean += before / done
                spread += before * (off - mean)
                if kept < count:
                    push(best, kept, score)
                    kept += 1
                elif score > best[0]:
                    sink(best, kept, score)
        greatest = max(greatest, done)
        found[number, done:] = -1
        scores[number, done:] = -np.inf
    return greatest
