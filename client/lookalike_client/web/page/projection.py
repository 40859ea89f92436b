"""Vectors as points of a plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookalike.wire.vectors import F32


def plane(vectors: Sequence[F32]) -> tuple[list[tuple[float, float]], float]:
    """Return points in -1 to 1 along the two directions in which vectors differ most.

    The second value is the share of their variance that those two show.
    """
    if len(vectors) < 2:
        return [(0.0, 0.0)] * len(vectors), 1.0
    rows = np.stack(vectors).astype(np.float32)
    rows -= rows.mean(axis=0)
    # The eigenvectors of the smaller of the two Gram matrices say the same and cost less.
    if rows.shape[0] < rows.shape[1]:
        strengths, left = np.linalg.eigh(rows @ rows.T)
        points = left[:, -2:] * np.sqrt(np.maximum(strengths[-2:], 0))
    else:
        strengths, right = np.linalg.eigh(rows.T @ rows)
        points = rows @ right[:, -2:]
    total = float(np.maximum(strengths, 0).sum())
    share = float(np.maximum(strengths[-2:], 0).sum()) / total if total > 0 else 1.0
    largest = float(np.abs(points).max()) or 1.0
    scaled = points[:, ::-1] / largest
    return [(float(x), float(y)) for x, y in scaled], share
