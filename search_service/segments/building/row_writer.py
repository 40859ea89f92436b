"""Writes the rows of a segment that is being built."""

from __future__ import annotations

import os
import shutil
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from search_service.domain.arrays import F32, I64, U32
from search_service.segments.errors import SegmentDamaged
from search_service.segments.rows import RowLayout


class RowWriter:
    """Appends rows to chunk files and sums their blocks as they pass."""

    def __init__(self, directory: Path, layout: RowLayout) -> None:
        self._directory = directory
        self._layout = layout
        self._row_bytes = 4 * layout.dimension
        self._sums: list[int] = []
        self._open_sum = 0
        self._file: BinaryIO | None = None
        self.rows = 0

    def adopt(self, base: Path, rows: int, sums: U32) -> None:
        """Start with the `rows` rows of segment directory `base`.

        Full chunks are shared by hard link, unread: their sums travel with them.
        The last one, if it is not full, is copied and checked.

        Raises:
            SegmentDamaged: the copied chunk is not what was written.
        """
        full = rows // self._layout.rows_per_chunk
        for chunk in range(full):
            source = self._layout.chunk_path(base, chunk)
            os.link(source, self._layout.chunk_path(self._directory, chunk))
        self.rows = full * self._layout.rows_per_chunk
        self._sums = [int(value) for value in sums[: self.rows // self._layout.rows_per_block]]
        if rows > self.rows:
            self._copy_partial_chunk(base, full, rows - self.rows, sums)

    def append(self, rows: F32) -> None:
        """Append float32 [n, D]."""
        if not len(rows):
            return  # a view of nothing cannot be cast
        data = np.ascontiguousarray(rows, dtype="<f4").data.cast("B")
        done = 0
        while done < len(rows):
            room_in_chunk = self._layout.rows_per_chunk - self.rows % self._layout.rows_per_chunk
            room_in_block = self._layout.rows_per_block - self.rows % self._layout.rows_per_block
            count = min(len(rows) - done, room_in_chunk, room_in_block)
            piece = data[done * self._row_bytes : (done + count) * self._row_bytes]
            self._chunk_file().write(piece)
            self._open_sum = zlib.crc32(piece, self._open_sum)
            done += count
            self.rows += count
            self._end_block_or_chunk()

    def read(self, nodes: I64) -> F32:
        """Return the rows of `nodes` that have been appended: float32 [n, D]."""
        if self._file is not None:
            self._file.flush()
        found = np.empty((len(nodes), self._layout.dimension), dtype=np.float32)
        order = np.argsort(nodes, kind="stable")
        chunks = nodes[order] // self._layout.rows_per_chunk
        for chunk in np.unique(chunks):
            with self._layout.chunk_path(self._directory, int(chunk)).open("rb") as file:
                for place in order[chunks == chunk]:
                    offset = int(nodes[place]) % self._layout.rows_per_chunk * self._row_bytes
                    piece = os.pread(file.fileno(), self._row_bytes, offset)
                    found[place] = np.frombuffer(piece, dtype="<f4")
        return found

    def finish(self) -> U32:
        """Close the files and return the sum of each block, uint32 [blocks]."""
        if self.rows % self._layout.rows_per_block:
            self._sums.append(self._open_sum)
        self._close_file()
        return np.array(self._sums, dtype="<u4")

    def close(self) -> None:
        """Close the open file, finished or not."""
        self._close_file()

    def _copy_partial_chunk(self, base: Path, chunk: int, rows: int, sums: U32) -> None:
        path = self._layout.chunk_path(self._directory, chunk)
        shutil.copyfile(self._layout.chunk_path(base, chunk), path)
        block_bytes = self._layout.rows_per_block * self._row_bytes
        left = rows * self._row_bytes
        with path.open("rb") as file:
            while left:
                piece = file.read(min(block_bytes, left))
                value = zlib.crc32(piece)
                if not piece or value != sums[len(self._sums)]:
                    raise SegmentDamaged(f"{path.name}: the checksum of a row block differs")
                left -= len(piece)
                self.rows += len(piece) // self._row_bytes
                if len(piece) == block_bytes:
                    self._sums.append(value)
                else:
                    self._open_sum = value

    def _chunk_file(self) -> BinaryIO:
        if self._file is None:
            chunk = self.rows // self._layout.rows_per_chunk
            self._file = self._layout.chunk_path(self._directory, chunk).open("ab")
        return self._file

    def _end_block_or_chunk(self) -> None:
        if self.rows % self._layout.rows_per_block == 0:
            self._sums.append(self._open_sum)
            self._open_sum = 0
        if self.rows % self._layout.rows_per_chunk == 0:
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
