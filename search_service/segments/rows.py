"""The exact vectors of a segment: chunk files, checked block by block.

A chunk that is full never changes: the segment that extends another one shares
its full chunks by hard link and writes only what is new. A block is the unit of
checking: about 64 KiB, 20 µs at 3.5 GB/s, so that checking on first touch costs
a query little and a million vectors need not be read before the first one.
"""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search_service.compiled.addresses import address_of
from search_service.compiled.reading import advise_function, expect, release
from search_service.domain.arrays import F32, I64, U32
from search_service.segments.checksums import check_size
from search_service.segments.errors import SegmentDamaged
from search_service.segments.mapping import map_rows

_BLOCK_BYTES = 64 << 10
_BLOCKS_LET_GO = 1_024  # about 64 MiB: what a check of all keeps in this process
_CHUNK_BYTES = 64 << 20  # what an extension copies at most, when the last chunk is not full
_LEAST_CHUNK_ROWS = 16_384  # so that a full chunk of any dimension ends on a page (4 to 64 KiB)


@dataclass(frozen=True, slots=True)
class RowLayout:
    """How rows of float32 [dimension] are cut into blocks and chunks."""

    dimension: int
    rows_per_block: int
    rows_per_chunk: int

    @staticmethod
    def of(dimension: int) -> RowLayout:
        """Return the layout for new segments; both sizes are powers of two."""
        row_bytes = 4 * dimension
        block = 1 << (max(1, _BLOCK_BYTES // row_bytes).bit_length() - 1)
        chunk = 1 << (max(1, _CHUNK_BYTES // row_bytes).bit_length() - 1)
        return RowLayout(dimension, block, max(chunk, _LEAST_CHUNK_ROWS))

    def chunk_path(self, directory: Path, chunk: int) -> Path:
        """Return where a chunk is kept."""
        return directory / f"rows-{chunk:05d}.f32"

    def chunk_sizes(self, rows: int) -> list[int]:
        """Return the bytes of each chunk of a matrix of `rows` rows."""
        starts = range(0, rows, self.rows_per_chunk)
        return [4 * self.dimension * min(self.rows_per_chunk, rows - start) for start in starts]

    def blocks(self, rows: int) -> int:
        """Return how many blocks a matrix of `rows` rows has."""
        return -(-rows // self.rows_per_block)


class RowMatrix:
    """The mapped rows, float32 [N, D], with what of them has been checked."""

    def __init__(
        self, directory: Path, layout: RowLayout, rows: int, sums: U32, *, on_disk: bool = False
    ) -> None:
        """Map the chunks; sizes are checked now, contents when they are touched.

        Rows that stay `on_disk` are asked for before they are touched, and let go of
        once they have been checked.

        Raises:
            SegmentDamaged: a chunk is absent or has another size.
        """
        sizes = layout.chunk_sizes(rows)
        paths = [layout.chunk_path(directory, chunk) for chunk in range(len(sizes))]
        for path, size in zip(paths, sizes, strict=True):
            check_size(path, size)
        if len(sums) != layout.blocks(rows):
            raise SegmentDamaged(f"{len(sums)} row checksums for {layout.blocks(rows)} blocks")
        try:
            self.array: F32 = map_rows(paths, sizes, layout.dimension)
        except (OSError, ValueError) as error:
            raise SegmentDamaged(f"the rows cannot be mapped: {error}") from error
        self._layout = layout
        self._sums = sums
        self._checked = np.zeros(len(sums), dtype=np.bool_)
        self._whole = len(sums) == 0
        self._on_disk = on_disk
        self._address = address_of(self.array)

    @property
    def advise(self) -> int:
        """The address of what asks the system for rows; 0 where they are kept in memory."""
        return advise_function() if self._on_disk else 0

    def expect(self, nodes: I64) -> None:
        """Say that the rows of `nodes` (any shape; -1 for none) are touched next."""
        if self._on_disk:
            expect(self._address, 4 * self._layout.dimension, nodes.ravel())

    def check_nodes(self, nodes: I64) -> None:
        """Check the blocks that hold `nodes` (any shape; negative ones are skipped).

        Raises:
            SegmentDamaged: a block is not what was written.
        """
        if self._whole:
            return
        blocks = np.unique(nodes[nodes >= 0] // self._layout.rows_per_block)
        for block in blocks[~self._checked[blocks]]:
            self._check_block(int(block))

    def check_all(self, stop: threading.Event | None = None) -> None:
        """Check every block that has not been; return early once `stop` is set.

        Raises:
            SegmentDamaged: a block is not what was written.
        """
        if self._whole:
            return
        for block in np.flatnonzero(~self._checked):
            if stop is not None and stop.is_set():
                return
            self._check_block(int(block))
            if self._on_disk and (block + 1) % _BLOCKS_LET_GO == 0:
                self._let_go(int(block) + 1 - _BLOCKS_LET_GO)
        if self._on_disk:
            self._let_go(len(self._sums) // _BLOCKS_LET_GO * _BLOCKS_LET_GO)
        self._whole = True

    def _let_go(self, block: int) -> None:
        """Let go of the rows of `_BLOCKS_LET_GO` blocks; they can be touched all the same."""
        step = self._layout.rows_per_block
        piece = self.array[block * step : (block + _BLOCKS_LET_GO) * step]
        release(address_of(piece), piece.nbytes)

    def _check_block(self, block: int) -> None:
        step = self._layout.rows_per_block
        piece = self.array[block * step : (block + 1) * step]
        if zlib.crc32(piece.data) != self._sums[block]:
            raise SegmentDamaged(f"row block {block}: the checksum differs")
        self._checked[block] = True
