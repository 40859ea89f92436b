from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search_service.compiled.addresses import address_of
from search_service.compiled.metric import Metric, as_scalars
from search_service.compiled.walk import compare_some
from search_service.domain.collection import Dtype
from search_service.shard.search.exact import scores_each, scores_of_pairs

WIDTH = 40
RNG = np.random.default_rng(4)
ROWS = RNG.standard_normal((300, WIDTH)).astype(np.float32)
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)
QUERIES = ROWS[:20] + np.float32(0.02) * RNG.standard_normal((20, WIDTH)).astype(np.float32)
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("dtype", "inner_product"),
    [
        (dtype, inner)
        for dtype in Dtype
        if dtype is not Dtype.I4  # many are equally far: see test_packed.py
        for inner in (False, True)
        if not (dtype is Dtype.I8 and inner)
    ],
)
def test_nodes_are_ordered_as_their_distances_are(dtype: Dtype, inner_product: bool) -> None:
    """What each kernel leaves is read as it is written: no order would come of it else."""
    rows: Any = ROWS
    queries: Any = QUERIES
    if dtype is Dtype.I8:
        rows, queries = (np.rint(x * 200).clip(-127, 127).astype(np.int8) for x in (ROWS, QUERIES))
    metric = Metric.of(dtype, WIDTH, inner_product=inner_product)
    codes, asked = as_scalars(rows, dtype), as_scalars(queries, dtype)
    assert codes.shape == (300, metric.width_bytes)
    found = np.empty((20, 50), dtype=np.int64)
    compare_some(metric, address_of(codes), np.arange(300), address_of(asked), found)
    wide_rows, wide_queries = rows.astype(np.float64), queries.astype(np.float64)
    far = np.square(wide_queries[:, None] - wide_rows[None]).sum(axis=2)
    if inner_product:
        far = 1.0 - wide_queries @ wide_rows.T
    exact = np.argsort(far, axis=1)[:, :50]
    shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
    assert sum(shared) >= (0.98 if dtype is Dtype.BF16 else 0.995) * exact.size
    assert (found[:, 0] == np.arange(20)).all()


def test_bfloat16_rounds_to_nearest_ties_to_even() -> None:
    bits = np.array([0x3F808000, 0x3F818000, 0x3F807FFF, 0x3F808001], dtype=np.uint32)
    scalars = as_scalars(bits.view(np.float32)[None], Dtype.BF16).view(np.uint16)
    assert scalars[0].tolist() == [0x3F80, 0x3F82, 0x3F80, 0x3F81]


def test_scores_are_products_in_float64_rounded_once() -> None:
    nodes = RNG.integers(-1, 300, (20, 30))
    scores = scores_each(ROWS, nodes, QUERIES)
    exact = np.einsum(
        "bcd,bd->bc", ROWS[nodes].astype(np.float64), QUERIES.astype(np.float64)
    ).astype(np.float32)
    assert (scores[nodes < 0] == -np.inf).all()
    there = nodes >= 0
    assert np.abs(scores[there] - exact[there]).max() <= np.spacing(np.float32(1))
    number, column = np.nonzero(there)
    pairs = scores_of_pairs(ROWS, nodes[number, column], QUERIES, number)
    assert np.array_equal(pairs, scores[number, column])


def test_scores_are_cosines_whatever_the_rounding() -> None:
    one = np.full((1, 3), np.float32(0.5773504), dtype=np.float32)  # a hair above unit norm
    nodes = np.zeros((1, 1), dtype=np.int64)
    assert scores_each(one, nodes, one)[0, 0] == np.float32(1.0)
    assert scores_each(one, nodes, -one)[0, 0] == np.float32(-1.0)


def test_scores_refuse_rows_that_do_not_follow_each_other() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        scores_each(ROWS[:, :20], np.zeros((1, 1), dtype=np.int64), QUERIES[:1, :20].copy())
