"""The margin that candidates are chosen with covers what float32 products lose."""

from __future__ import annotations

import numpy as np
import pytest

from search_service.shard.search.ranking import MARGIN


@pytest.mark.parametrize("dimension", [512, 1_280, 4_096])
def test_float32_products_of_unit_vectors_stay_well_within_the_margin(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    rows, queries = (rng.normal(size=(size, dimension)).astype(np.float32) for size in (2_000, 50))
    # Close pairs as well: their products are sums of terms of one sign.
    rows[:50] = queries + 1e-3 * rows[:50]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)

    exact = queries.astype(np.float64) @ rows.astype(np.float64).T
    batched = queries @ rows.T
    alone = np.stack([query[None] @ rows.T for query in queries])[:, 0]

    # A bound and a candidate may be off in opposite directions.
    assert 2 * np.abs(batched - exact).max() < float(MARGIN)
    assert 2 * np.abs(alone - exact).max() < float(MARGIN)
