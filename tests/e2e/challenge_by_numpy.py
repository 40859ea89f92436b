"""The figures of a challenge by NumPy alone: nothing of ours but the vectors."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def figures(names: list[str], vectors: NDArray[np.float32], table: Path) -> dict[str, float]:
    """Return precision and recall at 10 by key; `vectors` is float32 [n, D], one a name."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    label = np.array([rows[name]["label"] for name in names])
    sublabel = np.array([rows[name]["sublabel"] for name in names])
    scores = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    np.fill_diagonal(scores, -np.inf)
    same = label[:, None] == label[None, :]
    same_inner = same & (sublabel[:, None] == sublabel[None, :])
    np.fill_diagonal(same, False)
    np.fill_diagonal(same_inner, False)
    return {
        **_means("", scores, same),
        **_means("filtered_", np.where(same, scores, -np.inf), same_inner),
    }


def _means(prefix: str, scores: NDArray[np.float64], alike: NDArray[np.bool_]) -> dict[str, float]:
    first = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    seen = np.isfinite(np.take_along_axis(scores, first, axis=1))
    hits = (np.take_along_axis(alike, first, axis=1) & seen).sum(axis=1)
    there = alike.sum(axis=1)
    asked = there > 0
    hits, there = hits[asked], there[asked]
    return {
        f"{prefix}queries_judged": float(asked.sum()),
        f"{prefix}precision_at_10": float(np.mean(hits / 10)),
        f"{prefix}precision_at_10_attainable": float(np.mean(np.minimum(there, 10) / 10)),
        f"{prefix}recall_at_10": float(np.mean(hits / there)),
        f"{prefix}recall_at_10_attainable": float(np.mean(np.minimum(there, 10) / there)),
    }
