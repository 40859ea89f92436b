"""Exact scores: inner products of float32 vectors, summed in float64, rounded once."""

from __future__ import annotations

import numpy as np

from search_service.compiled.intrinsics import call_metric, prefetch
from search_service.compiled.jit import compiled, inlined
from search_service.domain.arrays import F32, I64

# Of a row of 2 KiB the processor asks for the rest itself, once it sees the direction.
_FIRST_BYTES = 512
_AHEAD = 3


@inlined
def fetch_row(address: int) -> None:
    """Ask for the beginning of a row."""
    for start in range(0, _FIRST_BYTES, 64):
        prefetch(address + start)


@inlined
def clipped(score: float) -> float:
    """Keep a cosine what it is, whatever the rounding."""
    return min(1.0, max(-1.0, score))


@compiled
def products_each(product: int, rows: int, nodes: I64, queries: int, width: int, out: F32) -> None:
    """Fill `out`, float32 [B, C], with the cosines of each query and its own nodes.

    `nodes` is int64 [B, C], -1 for none, which scores -inf; `rows` and `queries` are
    the addresses of float32 [N, width] and [B, width], unit L2; `product` see
    `search_service.compiled.metric.exact_product`.
    """
    wide = np.zeros(1, dtype=np.float64)
    slot = wide.ctypes.data
    for number in range(len(nodes)):
        query = queries + number * width * 4
        mine = nodes[number]
        for place in range(len(mine)):
            if place + _AHEAD < len(mine) and mine[place + _AHEAD] >= 0:
                fetch_row(rows + mine[place + _AHEAD] * width * 4)
            if mine[place] < 0:
                out[number, place] = -np.inf
                continue
            call_metric(product, query, rows + mine[place] * width * 4, width, slot)
            out[number, place] = clipped(wide[0])


@compiled
def products_of_pairs(
    product: int, rows: int, which: I64, queries: int, number: I64, width: int, out: F32
) -> None:
    """Fill `out`, float32 [n], with the cosines of rows `which` and queries `number`, int64 [n]."""
    wide = np.zeros(1, dtype=np.float64)
    slot = wide.ctypes.data
    for place in range(len(which)):
        if place + _AHEAD < len(which):
            fetch_row(rows + which[place + _AHEAD] * width * 4)
        query = queries + number[place] * width * 4
        call_metric(product, query, rows + which[place] * width * 4, width, slot)
        out[place] = clipped(wide[0])
