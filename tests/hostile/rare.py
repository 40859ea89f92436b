"""Hostile TIFF, BMP and AVIF files, strips, and what is no picture at all."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image


def saved(image: Image.Image, name: str, **options: object) -> bytes:
    """Return `image` as a file of format `name`."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow reads some of the damage that it is to write
        image.save(out, name, **options)
    return out.getvalue()


def tiff(tags: list[tuple[int, int, int, int]], extra: bytes = b"", following: int = 0) -> bytes:
    """Return a little-endian TIFF of one directory; `extra` stands right behind it.

    A tag is (number, type, count, value or offset).
    """
    body = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + body
    return head + struct.pack("<I", following) + extra


def _tiff_tags(random_: random.Random) -> bytes:
    """Any compression, photometry, depth, planes and tiles that a header can name."""
    pick = random_.choice
    side = pick((1, 16, 300, 7000))
    tags = [
        (256, 4, 1, side), (257, 4, 1, pick((side, 16))),
        (258, 3, 1, pick((1, 4, 8, 12, 16, 32, 64))),
        (259, 3, 1, pick((1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34712, 34925, 50000, 50001))),
        (262, 3, 1, pick((0, 1, 2, 3, 4, 5, 6, 8, 32844, 32845))),
        (277, 3, 1, pick((1, 3, 4, 5, 255, 65535))),
        (284, 3, 1, pick((1, 2))), (317, 3, 1, pick((1, 2, 3))), (339, 3, 1, pick((1, 2, 3, 4))),
    ]  # fmt: skip
    offset = 8 + 2 + 12 * (len(tags) + 4) + 4
    if random_.random() < 0.5:
        tile = pick((16, 256, 65536, 2**31 - 16))
        tags += [(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, offset), (325, 4, 1, 4000)]
    else:
        rows = pick((1, 16, 2**32 - 1))
        tags += [
            (273, 4, 1, offset),
            (278, 4, 1, rows),
            (279, 4, 1, pick((4000, 2**32 - 1))),
            (338, 3, 1, 2),
        ]
    return tiff(tags, pick((zlib.compress(bytes(100_000)), random_.randbytes(4000), bytes(4000))))


def _tiff_pages(random_: random.Random) -> bytes:
    """A ring of directories, or thousands of pages."""
    if random_.random() < 0.5:
        tags = [
            (256, 4, 1, 8),
            (257, 4, 1, 8),
            (258, 3, 1, 8),
            (262, 3, 1, 1),
            (273, 4, 1, 0),
            (279, 4, 1, 64),
        ]
        return tiff(tags, bytes(64), following=8)
    pages = [Image.new("L", (8, 8), n) for n in range(200)]
    return saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])


def _tiff_long_tag(random_: random.Random) -> bytes:
    """A tag with a million values that are there."""
    values = 2_000_000
    number = random_.choice((258, 273, 279, 320, 333, 34675, 700))
    tags = [(256, 4, 1, 8), (257, 4, 1, 8), (262, 3, 1, 1)]
    offset = 8 + 2 + 12 * (len(tags) + 1) + 4
    tags.append((number, random_.choice((3, 5, 12, 2)), values, offset))
    return tiff(tags, bytes(values * 8))


def _bmp_runs(random_: random.Random) -> bytes:
    """Run-length coding over a large canvas, which Pillow unfolds in Python."""
    side = random_.choice((64, 2000, 7000))
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 0, 0, 0, 256, 0)
    runs = random_.choice((b"\xff\x01", b"\x00\x02\xff\xff", b"\x01\x01")) * 200_000
    body = header + bytes(1024) + runs + b"\0\1"
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + 40 + 1024) + body


def _bmp_depth(random_: random.Random) -> bytes:
    bits, compression = (
        random_.choice((1, 2, 4, 16, 24, 32, 64)),
        random_.choice((0, 1, 2, 3, 4, 5, 6)),
    )
    size = random_.choice((12, 40, 52, 56, 64, 108, 124))
    header = struct.pack("<IiiHHIIiiII", size, 33, -33, 1, bits, compression, 0, 0, 0, 2**31, 0)
    return b"BM" + struct.pack("<IHHI", 9999, 0, 0, 14 + size) + header + random_.randbytes(9000)


def _avif_parts(random_: random.Random) -> bytes:
    """An AVIF cut short, or with other sizes in its boxes."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = bytearray(saved(Image.fromarray(noise), "AVIF", quality=50))
    if random_.random() < 0.4:
        return bytes(data[: random_.randrange(len(data))])
    for box in (b"ispe", b"iloc", b"ipco", b"av1C", b"meta"):
        at = data.find(box)
        if at > 0 and random_.random() < 0.5:
            data[at + 8 : at + 16] = struct.pack(">II", random_.choice((0, 7000, 2**31)), 7000)
    return bytes(data)


def _other_format(random_: random.Random) -> bytes:
    """What is no picture, or one of another kind."""
    small = saved(Image.new("RGB", (16, 16)), random_.choice(("PNG", "JPEG", "GIF")))
    picture = Image.new("RGB", (16, 16))
    return random_.choice((
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "' + b"c" * 9999 + b'">]><svg>&b;</svg>',
        b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" + small,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999 9999\nshowpage\n",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        b"\0\0\0\x18ftypavis\0\0\0\0mif1avif" + bytes(200),
        b"PK\3\4" + small, b"\x7fELF" + bytes(500), b"GIF89a/*" + b"*/=1;alert(1);" * 50,
        small + b"PK\5\6" + bytes(1000), b"\0" * 100_000, b"\xff\xd8\xff" * 30_000,
        b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 16, 16, 8, 3) + bytes(999),
        *(saved(picture, name) for name in ("PPM", "ICO", "TGA", "PCX", "JPEG2000", "EPS", "PDF")),
    ))  # fmt: skip


def _strip(random_: random.Random) -> bytes:
    """Strips within and beyond the aspect ratio, down to one pixel."""
    size = random_.choice(
        ((1, 1), (1, 2), (1, 50), (1, 51), (50, 1), (2, 100), (140, 7000), (1, 65000))
    )
    mode, name = random_.choice(
        (("RGB", "JPEG"), ("1", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("L", "BMP"))
    )
    if max(size) > 16383:
        name, mode = "PNG", "L"
    return saved(Image.new(mode, size), name)


RARE: dict[str, Callable[[random.Random], bytes]] = {
    "TIFF tags": _tiff_tags,
    "TIFF pages": _tiff_pages,
    "TIFF long tag": _tiff_long_tag,
    "BMP runs": _bmp_runs,
    "BMP depth": _bmp_depth,
    "AVIF parts": _avif_parts,
    "other format": _other_format,
    "strip": _strip,
}
