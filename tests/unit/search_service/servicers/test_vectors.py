from __future__ import annotations

import numpy as np
import pytest

from lookalike.wire.vectors import encode, normalise
from search_service.servicers.vectors import unit_matrix


def test_a_batch_equals_one_by_one() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((50, 7)).astype(np.float32)
    rows[::2] /= np.linalg.norm(rows[::2], axis=1, keepdims=True)
    matrix = unit_matrix([encode(row) for row in rows], 7)
    assert matrix is not None
    single = np.stack([normalise(row, field="") for row in rows])
    assert matrix.tobytes() == single.tobytes()


@pytest.mark.parametrize(
    "bad", [[np.nan, 0, 0], [np.inf, 0, 0], [0, 0, 0], [1e-20, 0, 0], [1, 0], [1, 0, 0, 0]]
)
def test_one_bad_vector_spoils_the_batch(bad: list[float]) -> None:
    good = encode(np.array([0, 1, 0], dtype=np.float32))
    one = encode(np.array(bad, dtype=np.float32))
    assert unit_matrix([good, one, good], 3) is None
    assert unit_matrix([good, good], 3) is not None


def test_extreme_but_finite_vectors_are_scaled() -> None:
    huge = encode(np.array([3e38, 3e38, 0], dtype=np.float32))
    matrix = unit_matrix([huge], 3)
    assert matrix is not None
    assert np.linalg.norm(matrix[0]) == pytest.approx(1.0)
