"""The newest vectors, in memory, searched exactly.

Rows are only ever appended, by one thread; a reader's view ends where the head
ended when the view was taken, so it needs no copy. A block most of whose rows were
replaced or deleted is let go, once the others are copied. Once there is a segment
with a compact form, new rows have that form too: all of a head are read for each query.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, I64, U8, Flags
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
    """Rows of one block: ordinals int64 [n] ascending, rows float32 [n, D]."""

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

    def takes(self, count: int, codec: CodecApi | None) -> bool:
        """Say whether `count` more rows, in this compact form, go in."""
        return self.codec is codec and self.count + count <= BLOCK_ROWS

    def append(self, ordinals: I64, rows: F32, codes: U8 | None) -> None:
        """Add rows behind what is there, which no view has seen: there is room."""
        span = slice(self.count, self.count + len(ordinals))
        self.ordinals[span] = ordinals
        self.rows[span] = rows
        if codes is not None:
            self.codes[span] = codes
        self.count += len(ordinals)


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
            span = slice(done, done + take)
            block.append(
                ordinals[span], vectors[span], None if coded is None else coded.codes[span]
            )
            done += take

    def drop_upto(self, ordinal: int) -> None:
        """Forget the rows with ordinals up to `ordinal`."""
        for block in self._blocks:
            block.start = max(
                block.start,
                int(np.searchsorted(block.ordinals[: block.count], ordinal, side="right")),
            )
        self._blocks = [block for block in self._blocks if block.start < block.count]

    def forget(self, alive: Callable[[I64], Flags]) -> None:
        """Let go of rows that are no longer `alive`, where a block has few others.

        The others are copied together, at most half a block of each; the block that
        new rows go to stays as it is.
        """
        last = self._blocks[-1] if self._blocks else None
        kept: list[_Block] = []
        for block in self._blocks:
            view = block.view()
            keep = np.flatnonzero(alive(view.ordinals))
            filling = block is last and block.count < BLOCK_ROWS
            if filling or 2 * len(keep) > len(view.ordinals):
                kept.append(block)
            elif len(keep):
                if not kept or not kept[-1].takes(len(keep), block.codec):
                    kept.append(_Block(self._dimension, block.codec))
                codes = None if view.coded is None else view.coded.codes[keep]
                kept[-1].append(view.ordinals[keep], view.rows[keep], codes)
        self._blocks = kept

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
        if last is None or not last.takes(1, codec):
            last = _Block(self._dimension, codec)
            self._blocks.append(last)
        return last
