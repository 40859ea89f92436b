"""PNG: the length of what inflates says which rows came."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import ImageFile

from embedder_service.decode.cut.remains import Remains, Rows, tail

_SIGNATURE_BYTES = 8
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# PNG, second edition, section 8.2: first column, first row, steps of the seven passes.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip
_INFLATE_BYTES = 1 << 20


def look(data: bytes, _image: ImageFile.ImageFile) -> Remains | None:
    """Return what came of a PNG, None if it is whole."""
    chunks = list(_chunks(data))
    if chunks and chunks[-1][0] == b"IEND":
        return None
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(
        ">IIBBBBB", data, _SIGNATURE_BYTES + 8
    )
    came = _inflated_bytes(data, chunks)
    bits_a_pixel = bits * _CHANNELS[colour]
    if not interlaced:
        rows = min(came // (1 + (width * bits_a_pixel + 7) // 8), height)
        return Remains(rows / height, tail(height, rows), data)
    share, missing = _interlaced(came, width, height, bits_a_pixel)
    return Remains(share, missing, data)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of each chunk's body; the last may end early."""
    at = _SIGNATURE_BYTES
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        whole = at + 12 + length <= len(data)
        if kind != b"IEND" or whole:
            yield kind, at + 8, min(at + 8 + length, len(data))
        if kind == b"IEND":
            return
        at += 12 + length


def _inflated_bytes(data: bytes, chunks: list[tuple[bytes, int, int]]) -> int:
    inflater = zlib.decompressobj()
    came = 0
    for kind, start, end in chunks:
        body = memoryview(data)[start:end] if kind == b"IDAT" else b""
        while body:
            try:
                came += len(inflater.decompress(body, _INFLATE_BYTES))
            except zlib.error:
                return came
            body = inflater.unconsumed_tail
    return came


def _interlaced(came: int, width: int, height: int, bits: int) -> tuple[float, Rows]:
    """Return the share of the bytes that came, and the rows that the last passes lack."""
    missing = np.zeros(height, dtype=np.bool_)
    left, total = came, 0
    for column, row, across, down in _PASSES:
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns < 1 or rows < 1:
            continue
        row_bytes = 1 + (columns * bits + 7) // 8
        total += rows * row_bytes
        whole = min(left // row_bytes, rows)
        left = max(left - rows * row_bytes, 0)
        missing[row + whole * down :: down] = True
    return min(came / total, 1.0), missing
