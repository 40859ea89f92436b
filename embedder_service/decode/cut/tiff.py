"""TIFF: strips or tiles that lie past the end did not come.

The directory is written again: what did not come points at a part that did, so that
libtiff decodes the file, and the rows are known as missing. Of a part that is cut
itself, what can be told is kept: uncompressed rows, and what inflates.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import ImageFile

from embedder_service.decode.cut.remains import Remains, Rows
from embedder_service.decode.cut.tiff_directory import Directory

_HEIGHT, _WIDTH, _COMPRESSION, _ROWS_A_STRIP, _PLANES = 257, 256, 259, 278, 284
_BITS, _SAMPLES = 258, 277
_STRIPS, _TILES = (273, 279), (324, 325)
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_NONE, _DEFLATE = 1, (8, 32946)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a picture is divided: parts of `rows` rows, `across` in a row, `row_bytes` a row."""

    height: int
    rows: int
    across: int
    row_bytes: int
    planes: int

    @property
    def down(self) -> int:
        return -(-self.height // self.rows)

    def top(self, part: int) -> int:
        """Return the first row of a part."""
        return part % (self.across * self.down) // self.across * self.rows


def look(data: bytes, _image: ImageFile.ImageFile) -> Remains | None:
    """Return what came of a TIFF, None if it is whole or its directory says too little."""
    try:
        directory = Directory(data)
    except (ValueError, struct.error):
        return None
    tags = _TILES if directory.numbers(_TILES[0]) else _STRIPS
    offsets, sizes = (directory.numbers(tag) for tag in tags)
    layout = _layout(directory, tiled=tags is _TILES)
    if layout is None or len(offsets) != len(sizes) or not offsets:
        return None
    if len(offsets) != layout.across * layout.down * layout.planes:
        return None
    lost = [n for n, at in enumerate(offsets) if at + sizes[n] > len(data)]
    if not lost:
        return None
    missing: Rows = np.zeros(layout.height, dtype=np.bool_)
    extra = b""
    here = [n for n in range(len(offsets)) if n not in set(lost)]
    compression = directory.number(_COMPRESSION, _NONE)
    for part in lost:
        top = layout.top(part)
        piece, rows = _mended(data[offsets[part] :][: sizes[part]], layout, compression)
        missing[top + rows : top + layout.rows] = True
        if piece:
            offsets[part], sizes[part] = len(data) + len(extra), len(piece)
            extra += piece
        elif here:
            # The first one is of full height.
            offsets[part], sizes[part] = offsets[here[0]], sizes[here[0]]
    share = 1 - float(missing.mean())
    changes = {tags[0]: offsets, tags[1]: sizes}
    return Remains(share, missing, directory.rewritten(extra, changes))


def _layout(directory: Directory, *, tiled: bool) -> _Layout | None:
    height, width = directory.number(_HEIGHT, 0), directory.number(_WIDTH, 0)
    bits, samples = directory.number(_BITS, 1), directory.number(_SAMPLES, 1)
    planar = directory.number(_PLANES, 1) == 2
    rows = directory.number(_TILE_HEIGHT if tiled else _ROWS_A_STRIP, height)
    across = directory.number(_TILE_WIDTH, 0) if tiled else width
    if min(height, width, rows, across) < 1:
        return None
    bits_a_pixel = bits if planar else bits * samples
    return _Layout(
        height=height,
        rows=rows if tiled else min(rows, height),
        across=-(-width // across),
        row_bytes=(across * bits_a_pixel + 7) // 8,
        planes=samples if planar else 1,
    )


def _mended(came: bytes, layout: _Layout, compression: int) -> tuple[bytes, int]:
    """Return a part made whole, and how many of its rows came; empty if that cannot be told."""
    whole = layout.rows * layout.row_bytes
    if compression == _NONE:
        return came + bytes(max(whole - len(came), 0)), len(came) // layout.row_bytes
    if compression in _DEFLATE and came:
        try:
            rows = zlib.decompressobj().decompress(came, whole)
        except zlib.error:
            return b"", 0
        mended = zlib.compress(rows + bytes(whole - len(rows)), 1)
        return mended, len(rows) // layout.row_bytes
    return b"", 0
