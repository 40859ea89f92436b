"""Exact cosines of queries and rows that few of all are."""

from __future__ import annotations

from functools import cache

import numpy as np

from search_service.compiled.addresses import address_of
from search_service.compiled.metric import exact_product
from search_service.compiled.products import products_each, products_of_pairs
from search_service.domain.arrays import F32, I64

_product = cache(exact_product)


def scores_each(rows: F32, nodes: I64, queries: F32) -> F32:
    """Return float32 [B, C]: each query with its own nodes, int64 [B, C]; -inf for -1.

    `rows` is float32 [N, D] and `queries` float32 [B, D], both unit L2. Summed in
    float64 and rounded once, so a score does not depend on what else was asked.
    """
    scores = np.empty(nodes.shape, dtype=np.float32)
    width = queries.shape[1]
    products_each(_product(), address_of(rows), nodes, address_of(queries), width, scores)
    return scores


def scores_of_pairs(rows: F32, which: I64, queries: F32, number: I64) -> F32:
    """Return float32 [n]: row `which` with query `number`, int64 [n] both, as above."""
    scores = np.empty(len(which), dtype=np.float32)
    # Columns of an array of pairs are not contiguous, and Numba would compile for those.
    which, number = np.ascontiguousarray(which), np.ascontiguousarray(number)
    width = queries.shape[1]
    products_of_pairs(
        _product(), address_of(rows), which, address_of(queries), number, width, scores
    )
    return scores
