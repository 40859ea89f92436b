"""HEIC and JPEG XL files, well-formed and hostile."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable

import pillow_heif
import pillow_jxl  # noqa: F401 - Pillow writes the format once this is there
from PIL import Image

from tests.hostile.rare import saved

_JXL_HEAD = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "


def heif(image: Image.Image, **options: object) -> bytes:
    """Return `image` as a HEIC file."""
    pillow_heif.register_heif_opener(decode_threads=1)
    return saved(image, "HEIF", **options)


def jxl(image: Image.Image, **options: object) -> bytes:
    """Return `image` as a JPEG XL file."""
    return saved(image, "JXL", **options)


def without_box(data: bytes, name: bytes) -> bytes:
    """Return a file of boxes without those of one name."""
    kept, at = b"", 0
    while at < len(data):
        length = struct.unpack_from(">I", data, at)[0] or len(data) - at
        if data[at + 4 : at + 8] != name:
            kept += data[at : at + length]
        at += length
    return kept


def _heif_size(random_: random.Random) -> bytes:
    """Another size in the header than its pictures have."""
    data = bytearray(heif(Image.new("RGB", (128, 96), (9, 99, 199))))
    for found in re.finditer(b"ispe", bytes(data)):
        width, height = random_.choice(((0, 0), (7000, 7000), (2**32 - 1, 1), (16, 16)))
        struct.pack_into(">II", data, found.end() + 4, width, height)
    return bytes(data)


def _heif_boxes(random_: random.Random) -> bytes:
    """A box whose length or content is not what it says."""
    data = bytearray(heif(Image.new("RGB", (128, 96), (9, 99, 199))))
    names = b"meta|iloc|iinf|iprp|ipco|ipma|hvcC|mdat|irot|pitm"
    box = random_.choice(list(re.finditer(names, bytes(data))))
    if random_.random() < 0.5:
        length = random_.choice((0, 1, 7, 2**31, 2**32 - 1))
        struct.pack_into(">I", data, box.start() - 4, length)
    else:
        at = min(box.end() + random_.randrange(12), len(data) - 1)
        data[at] = random_.choice((0, 1, 0x7F, 0xFF))
    return bytes(data)


def _jxl_size(random_: random.Random) -> bytes:
    """A header of any size, before the data of a small picture or noise."""
    data = jxl(Image.new("RGB", (64, 64), (9, 99, 199)))
    start = data.index(b"\xff\x0a") + 2
    rest = data[start:] if random_.random() < 0.5 else random_.randbytes(200)
    selector, bits = random_.choice(((0, 9), (1, 13), (2, 18), (3, 30)))
    side = random_.getrandbits(bits)
    head = side << 3 | selector << 1 | 1 << (3 + bits)  # as wide as high
    return b"\xff\x0a" + head.to_bytes(5, "little") + rest


def _jxl_boxes(random_: random.Random) -> bytes:
    """A codestream in thousands of parts, or in boxes of odd lengths."""
    stream = jxl(Image.new("RGB", (64, 64), (9, 99, 199)), use_container=True)
    stream = stream[stream.index(b"\xff\x0a") :]
    if random_.random() < 0.5:
        parts = [
            struct.pack(">I4sI", 13, b"jxlp", n) + bytes([byte]) for n, byte in enumerate(stream)
        ]
        return _JXL_HEAD + b"".join(parts) + struct.pack(">I4s", 8, b"jxlp") * 5000
    length = random_.choice((0, 1, 7, 9, 2**32 - 1))
    return _JXL_HEAD + struct.pack(">I4s", length, b"jxlc") + stream


MAKERS: dict[str, Callable[[random.Random], bytes]] = {
    "HEIC size": _heif_size,
    "HEIC boxes": _heif_boxes,
    "JPEG XL size": _jxl_size,
    "JPEG XL boxes": _jxl_boxes,
}
