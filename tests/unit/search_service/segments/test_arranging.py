"""Rows in the order in which they are inserted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lookalike.wire.vectors import F32
from search_service.domain.arrays import I64
from search_service.segments.building import arranging
from search_service.segments.building.arranging import arranged
from tests.unit.search_service.segments.support import unit_vectors

WIDTH, BATCH = 24, 500
KINDS = unit_vectors(40, seed=3)[:, :WIDTH]


def alike(count: int) -> F32:
    """Return rows of 40 kinds, one after the other in turn."""
    noise = np.random.default_rng(4).standard_normal((count, WIDTH)) / 50
    return (KINDS[np.arange(count) % len(KINDS)] + noise).astype(np.float32)


def batches(rows: F32) -> Iterator[tuple[I64, F32]]:
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        yield np.arange(7 + start, 7 + start + len(some)), some


def steps(rows: F32) -> float:
    """Return the median distance from a row to the next."""
    return float(np.median(np.linalg.norm(np.diff(rows, axis=0), axis=1)))


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("count", [0, 1, 130, 8_192, 9_001])
def test_each_row_comes_once_with_its_ordinal(
    monkeypatch: pytest.MonkeyPatch, count: int, started: bool
) -> None:
    monkeypatch.setattr(arranging, "FIRST_ROWS", 1_000)
    monkeypatch.setattr(arranging, "WINDOW_ROWS", 3_000)
    rows = alike(count)
    seen = 0
    for ordinals, vectors in arranged(batches(rows), started=started, batch_rows=BATCH):
        assert 0 < len(ordinals) == len(vectors) <= BATCH
        assert np.array_equal(vectors, rows[ordinals - 7])
        assert (np.diff(np.sort(ordinals)) > 0).all()
        seen += len(ordinals)
    assert seen == count


def test_rows_that_are_alike_follow_one_another() -> None:
    rows = alike(6_000)
    after = np.concatenate([v for _, v in arranged(batches(rows), started=True, batch_rows=BATCH)])
    assert steps(after) < steps(rows) / 3


def test_the_first_rows_of_a_graph_stay_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arranging, "FIRST_ROWS", 1_000)
    rows = alike(3_000)
    order = np.concatenate([o for o, _ in arranged(batches(rows), started=False, batch_rows=BATCH)])
    assert np.array_equal(order[:1_000], np.arange(7, 1_007))
    assert not np.array_equal(order, np.sort(order))


def test_the_order_is_the_same_each_time() -> None:
    rows = alike(3_000)
    first, second = (
        np.concatenate([o for o, _ in arranged(batches(rows), started=True, batch_rows=BATCH)])
        for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_wide_rows_are_arranged_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arranging, "_WINDOW_BYTES", 1_000 * 4 * WIDTH)
    rows = alike(5_000)
    order = np.concatenate([o for o, _ in arranged(batches(rows), started=True, batch_rows=BATCH)])
    for start in range(0, 5_000, 1_000):  # no row leaves its window
        assert set(order[start : start + 1_000]) == set(range(7 + start, 1_007 + start))
