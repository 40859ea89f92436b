"""Image files written by hand: depths and layouts that Pillow does not write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tests.hostile.crafted import chunk

Samples = npt.NDArray[Any]

_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
_TIFF_COLOURS = {1: 1, 3: 2, 4: 5}


def deep_png(samples: Samples, extra: bytes = b"") -> bytes:
    """Return a PNG of 16 bits a sample: [H, W] or [H, W, 2 to 4]."""
    height, width = samples.shape[:2]
    colour = _PNG_COLOURS[1 if samples.ndim == 2 else samples.shape[2]]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def tiff(
    samples: Samples,
    *,
    order: Literal["<", ">"] = "<",
    sample_format: int = 1,
    deflate: bool = False,
    rows_a_strip: int = 0,
    photometric: int | None = None,
    tags: Sequence[tuple[int, int, list[int]]] = (),
) -> bytes:
    """Return a TIFF of [H, W] or [H, W, 3 or 4] samples, its directory before its pixels.

    `tags` holds further (tag, type 3 or 4, values).
    """
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    bits = samples.dtype.itemsize * 8
    step = rows_a_strip or height
    strips = [
        samples[top : top + step].astype(samples.dtype.newbyteorder(order)).tobytes()
        for top in range(0, height, step)
    ]
    if deflate:
        strips = [zlib.compress(strip) for strip in strips]
    sizes = [len(strip) for strip in strips]
    entries = sorted([
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels),
        (259, 3, [8 if deflate else 1]), (262, 3, [photometric or _TIFF_COLOURS[channels]]),
        (273, 4, [0] * len(strips)), (277, 3, [channels]), (278, 4, [step]), (279, 4, sizes),
        (339, 3, [sample_format] * channels), *tags,
    ])  # fmt: skip
    # The values that do not fit an entry stand behind the directory, the strips behind those.
    apart_at = 8 + 2 + 12 * len(entries) + 4
    lengths = [len(values) * {3: 2, 4: 4}[kind] for _, kind, values in entries]
    pixels_at = apart_at + sum(length + length % 4 for length in lengths if length > 4)
    offsets = [pixels_at + sum(sizes[:index]) for index in range(len(strips))]
    directory, apart = struct.pack(order + "H", len(entries)), b""
    for tag, kind, values in entries:
        form = {3: "H", 4: "I"}[kind]
        packed = struct.pack(f"{order}{len(values)}{form}", *(offsets if tag == 273 else values))
        if len(packed) > 4:
            at = apart_at + len(apart)
            apart += packed + bytes(len(packed) % 4)
            packed = struct.pack(order + "I", at)
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return start + directory + bytes(4) + apart + b"".join(strips)


def interlaced_png(samples: npt.NDArray[np.uint8]) -> bytes:
    """Return an interlaced grey PNG of uint8 [H, W]."""
    height, width = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
              (0, 1, 1, 2))  # fmt: skip
    rows = b"".join(
        b"\0" + row.tobytes()
        for column, top, across, down in passes
        for row in samples[top::down, column::across]
    )
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")
