"""The newest vectors, in memory, searched exactly.

Rows are only ever appended, by one thread; a reader's view ends where the head
ended when the view was taken, so it needs no copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lookalike.wire.vectors import F32
from search_service.shard.segment_api import I64

# 16 MiB at 512 dimensions, untouched pages of which cost nothing; large enough
# for matrix products to run at full speed.
BLOCK_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class HeadView:
    """Some consecutive rows: ordinals int64 [n] ascending, rows float32 [n, D]."""

    ordinals: I64
    rows: F32


class _Block:
    __slots__ = ("count", "ordinals", "rows", "start")

    def __init__(self, dimension: int) -> None:
        self.ordinals: I64 = np.empty(BLOCK_ROWS, dtype=np.int64)
        self.rows: F32 = np.empty((BLOCK_ROWS, dimension), dtype=np.float32)
        self.start = 0
        self.count = 0


class Head:
    """Blocks of rows; the caller serialises changes against `views`."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._blocks: list[_Block] = []

    def __len__(self) -> int:
        """Count rows, dead ones among them."""
        return sum(block.count - block.start for block in self._blocks)

    @property
    def nbytes(self) -> int:
        """Memory that rows take."""
        return len(self) * self._dimension * 4

    def extend(self, ordinals: I64, vectors: F32) -> None:
        """Add rows: int64 [n] ascending, float32 [n, D]."""
        done = 0
        while done < len(ordinals):
            block = self._room()
            take = min(BLOCK_ROWS - block.count, len(ordinals) - done)
            span = slice(block.count, block.count + take)
            block.ordinals[span] = ordinals[done : done + take]
            block.rows[span] = vectors[done : done + take]
            block.count += take
            done += take

    def drop_upto(self, ordinal: int) -> None:
        """Forget the rows with ordinals up to `ordinal`."""
        for block in self._blocks:
            block.start = max(
                block.start,
                int(np.searchsorted(block.ordinals[: block.count], ordinal, side="right")),
            )
        self._blocks = [block for block in self._blocks if block.start < block.count]

    def with_rows(self, ordinals: I64, vectors: F32) -> Head:
        """Return a head with these rows too: int64 [n] ascending, float32 [n, D]."""
        parts = [HeadView(ordinals, vectors), *self.views()]
        every = np.concatenate([part.ordinals for part in parts])
        head = Head(self._dimension)
        if bool(np.all(every[1:] > every[:-1])):
            for part in parts:
                head.extend(part.ordinals, part.rows)
        else:
            order = np.argsort(every)
            head.extend(every[order], np.concatenate([part.rows for part in parts])[order])
        return head

    def views(self) -> tuple[HeadView, ...]:
        """Return what is there now; what is appended later does not show."""
        return tuple(
            HeadView(
                block.ordinals[block.start : block.count], block.rows[block.start : block.count]
            )
            for block in self._blocks
        )

    def _room(self) -> _Block:
        if not self._blocks or self._blocks[-1].count == BLOCK_ROWS:
            self._blocks.append(_Block(self._dimension))
        return self._blocks[-1]
