"""The newest vectors, in memory, searched exactly.

Rows are only ever appended, by one thread; a reader's view ends where the head
ended when the view was taken, so it needs no copy. Once there is a segment with a
compact form, new rows have that form too: all of a head are read for each query.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, I64, U8
from search_service.segments.api import CodecApi

# 16 MiB at 512 dimensions, untouched pages of which cost nothing; large enough
# for matrix products to run at full speed.
BLOCK_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows in a compact form: uint8 [n, width_bytes]."""

    codec: CodecApi
    codes: U8


@dataclass(frozen=True, slots=True)
class HeadView:
    """Some consecutive rows: ordinals int64 [n] ascending, rows float32 [n, D]."""

    ordinals: I64
    rows: F32
    coded: Coded | None


class _Block:
    __slots__ = ("codec", "codes", "count", "ordinals", "rows", "start")

    def __init__(self, dimension: int, codec: CodecApi | None) -> None:
        self.ordinals: I64 = np.empty(BLOCK_ROWS, dtype=np.int64)
        self.rows: F32 = np.empty((BLOCK_ROWS, dimension), dtype=np.float32)
        self.codec = codec
        self.codes: U8 = np.empty((BLOCK_ROWS, codec.width_bytes if codec else 0), dtype=np.uint8)
        self.start = 0
        self.count = 0

    def view(self) -> HeadView:
        """Return what is there."""
        span = slice(self.start, self.count)
        coded = None if self.codec is None else Coded(self.codec, self.codes[span])
        return HeadView(self.ordinals[span], self.rows[span], coded)


class Head:
    """Blocks of rows; the caller serialises changes against `views`."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._blocks: list[_Block] = []
        # Makes the compact form of rows that come from now on.
        self.codec: CodecApi | None = None

    def __len__(self) -> int:
        """Count rows, dead ones among them."""
        return sum(block.count - block.start for block in self._blocks)

    def encode(self, vectors: F32) -> Coded | None:
        """Return the compact form of rows that are to be added, float32 [n, D]."""
        codec = self.codec
        return None if codec is None else Coded(codec, codec.encode(vectors))

    def extend(self, ordinals: I64, vectors: F32, coded: Coded | None) -> None:
        """Add rows: int64 [n] ascending, float32 [n, D], and what `encode` made of them."""
        done = 0
        while done < len(ordinals):
            block = self._room(coded.codec if coded else None)
            take = min(BLOCK_ROWS - block.count, len(ordinals) - done)
            span = slice(block.count, block.count + take)
            block.ordinals[span] = ordinals[done : done + take]
            block.rows[span] = vectors[done : done + take]
            if coded is not None:
                block.codes[span] = coded.codes[done : done + take]
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
        parts = [HeadView(ordinals, vectors, self.encode(vectors)), *self.views()]
        every = np.concatenate([part.ordinals for part in parts])
        head = Head(self._dimension)
        head.codec = self.codec
        if bool(np.all(every[1:] > every[:-1])):
            for part in parts:
                head.extend(part.ordinals, part.rows, part.coded)
        else:
            order = np.argsort(every)
            rows = np.concatenate([part.rows for part in parts])[order]
            head.extend(every[order], rows, self.encode(rows))
        return head

    def views(self) -> tuple[HeadView, ...]:
        """Return what is there now; what is appended later does not show."""
        return tuple(block.view() for block in self._blocks)

    def _room(self, codec: CodecApi | None) -> _Block:
        last = self._blocks[-1] if self._blocks else None
        if last is None or last.count == BLOCK_ROWS or last.codec is not codec:
            last = _Block(self._dimension, codec)
            self._blocks.append(last)
        return last
