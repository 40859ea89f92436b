"""What a peer can do, and the lines that the benchmark and its driver exchange.

A driver runs in the peer's own environment. It reads one JSON object a line and
answers with one; arrays travel as `.npy` files. It may import numpy and the peer,
nothing of Lookalike.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]


class Peer(Protocol):
    """An index over unit vectors under keys 0 … N-1."""

    def build(self, vectors: F32, connectivity: int, expansion_add: int) -> None:
        """Index float32 [N, D], ready to be searched."""

    def search(self, queries: F32, count: int, expansion: int) -> I64:
        """Return the keys found for float32 [B, D], int64 [B, count], padded with -1."""

    def close(self) -> None:
        """Let go of what it holds."""


@runtime_checkable
class Narrowed(Protocol):
    """A peer that can find only what holds one value in a field."""

    def narrow(self, field: str, value: int) -> None:
        """Have the searches that follow do so."""


def padded(rows: list[list[int]], count: int) -> I64:
    """Return lists of keys as int64 [B, count], padded with -1."""
    out = np.full((len(rows), count), -1, dtype=np.int64)
    for place, keys in enumerate(rows):
        out[place, : len(keys)] = keys[:count]
    return out
