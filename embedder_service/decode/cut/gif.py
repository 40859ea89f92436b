"""GIF: the decoder is run over two grounds; rows that still show them did not come."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
from PIL import Image, ImageFile

from embedder_service.decode.cut.remains import Remains, Rows

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


def look(data: bytes, image: ImageFile.ImageFile) -> Remains | None:
    """Return what came of a GIF, None if it is whole."""
    if _is_whole(data) or not image.tile:
        return None
    missing = np.zeros(image.height, dtype=np.bool_)
    _, extents, offset, options = image.tile[0]
    left, top, right, bottom = extents or (0, 0, *image.size)
    bits, interlaced = tuple(options or ())[:2]
    size = (right - left, bottom - top)
    grounds = [_decoded(size, ground, data[offset:], (bits, interlaced, -1)) for ground in (0, 255)]
    unpainted: Rows = (grounds[0] != grounds[1]).any(axis=1)
    missing[top:bottom] = unpainted[: image.height - top]
    return Remains(1 - float(unpainted.mean()), missing, data)


def _decoded(
    size: tuple[int, int], ground: int, data: bytes, options: tuple[object, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = Image.new("L", size, ground)
    # It says that data are missing, and leaves the rows that came.
    with contextlib.suppress(ValueError):
        picture.frombytes(data, "gif", options)
    return np.asarray(picture)


def _is_whole(data: bytes) -> bool:
    """Walk over all blocks without decoding them."""
    try:
        at = 13 + _palette_bytes(data[10])
        while data[at] != _TRAILER:
            if data[at] == _IMAGE:
                at += 10 + _palette_bytes(data[at + 9]) + 1
            elif data[at] == _EXTENSION:
                at += 2
            else:
                return True  # not the form of a GIF: nothing says that its end is missing
            while data[at]:
                at += 1 + data[at]
            at += 1
    except (IndexError, struct.error):
        return False
    return True


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
