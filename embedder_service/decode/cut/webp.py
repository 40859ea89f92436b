"""WebP: libwebp decodes what there is, row by row, where Pillow wants a whole file.

The library is the one that Pillow's own module stands on.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, _webp

from embedder_service.decode.cut.remains import tail
from embedder_service.preprocess import U8

_RGBA = 1  # WEBP_CSP_MODE
# Rows that the decoder may hold back: a row of macroblocks and its filter's reach in
# lossy files, a cache of 16 and the 8 since the last mark in lossless ones.
_HELD_BACK = 24
_LEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class CutWebp:
    """The header of a WebP that lacks its end; `profile` is ICC, empty for none."""

    width_px: int
    height_px: int
    start: int
    length: int
    profile: bytes

    def came(self, data: bytes) -> float:
        """Return the share of the picture's bytes that came."""
        return min(max(len(data) - self.start, 0) / max(self.length, 1), 1.0)


def header(data: bytes) -> CutWebp | None:
    """Return the header of a still WebP that lacks its end, None for all else."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if 8 + struct.unpack_from("<I", data, 4)[0] <= len(data):
        return None
    profile = b""
    for kind, start, length in _chunks(data):
        body = data[start : start + length]
        if kind == b"ICCP":
            profile = body
        elif kind == b"VP8 " and len(body) >= 10:
            width, height = struct.unpack_from("<HH", body, 6)
            return CutWebp(width & 0x3FFF, height & 0x3FFF, start, length, profile)
        elif kind == b"VP8L" and len(body) >= 5:
            (packed,) = struct.unpack_from("<I", body, 1)
            return CutWebp(
                1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), start, length, profile
            )
    return None


def decode(data: bytes, cut: CutWebp) -> tuple[float, Image.Image, np.ndarray]:
    """Return the share of the rows that came, the picture as RGBA, and the missing rows."""
    lacking = max(cut.start + cut.length - len(data), 0)
    shape = (cut.height_px, cut.width_px, 4)
    # What follows the cut is made up in two ways; where they part, data ended.
    zeros = np.zeros(shape, dtype=np.uint8)
    least, rows = _rows(data, bytes(min(lacking, _LEAD)), zeros)
    other = np.zeros(shape, dtype=np.uint8)
    rows = min(rows, _rows(data, b"\xa5" * min(lacking, _LEAD), other)[1])
    differ = np.flatnonzero((zeros[least:rows] != other[least:rows]).any(axis=(1, 2)))
    del other
    sure = least + int(differ[0]) if differ.size else rows
    if not lacking:
        sure = rows
    height = cut.height_px
    by_bytes = int(cut.came(data) * height)
    share = max(sure, min(by_bytes, least + _HELD_BACK)) / height
    picture = Image.fromarray(zeros)
    if cut.profile:
        picture.info["icc_profile"] = cut.profile
    return min(share, 1.0), picture, tail(height, sure)


def _rows(data: bytes, more: bytes, into: U8) -> tuple[int, int]:
    """Decode `data`, and then `more`; return how many rows there were after each."""
    library = ctypes.CDLL(_webp.__file__)
    new, append, rows_of, free = (
        library.WebPINewRGB, library.WebPIAppend, library.WebPIDecGetRGB, library.WebPIDelete
    )  # fmt: skip
    new.restype = rows_of.restype = ctypes.c_void_p
    new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    append.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    rows_of.argtypes = [ctypes.c_void_p] + [ctypes.c_void_p] * 4
    free.argtypes = [ctypes.c_void_p]
    free.restype = None
    decoder = new(_RGBA, into.ctypes.data, into.nbytes, into.strides[0])
    if not decoder:
        raise MemoryError
    try:
        counts = []
        for part in (data, more):
            append(decoder, part, len(part))
            last = ctypes.c_int(0)
            if rows_of(decoder, ctypes.addressof(last), None, None, None):
                counts.append(last.value)
            else:
                counts.append(counts[-1] if counts else 0)
        return counts[0], max(counts)
    finally:
        free(decoder)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, length
        at += 8 + length + (length & 1)
