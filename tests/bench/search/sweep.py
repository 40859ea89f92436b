"""The least search expansion that reaches a recall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.search.peers.environment import Missing

_GRID = (16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1_024, 1_536)


@dataclass(frozen=True, slots=True)
class Point:
    """An expansion and the recall that it gave."""

    expansion: int
    recall: float


def least_expansion(recall_at: Callable[[int], float], target: float) -> Point:
    """Return the first point of the grid with `target` or more, found by bisection.

    Raises:
        Missing: none has.
    """
    best = Point(_GRID[-1], recall_at(_GRID[-1]))
    if best.recall < target:
        raise Missing(f"recall stays at {best.recall:.3f} with expansion {best.expansion}")
    low, high = 0, len(_GRID) - 1
    while low < high:
        middle = (low + high) // 2
        recall = recall_at(_GRID[middle])
        if recall >= target:
            high, best = middle, Point(_GRID[middle], recall)
        else:
            low = middle + 1
    return best
