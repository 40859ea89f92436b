"""A digest of what a file shows: equal for the same pixels in any file.

A picture with other EXIF data, or saved again without loss, has the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from PIL import Image

# Up to here a JPEG that was decoded at a part of its size is decoded again in full: 4
# megapixels take 35 ms, 12 megapixels would take 110, twice what all the rest of them does.
FULL_DECODE_PIXELS = 4_000_000

_STRIP_ROWS = 256
# What a JPEG may hold besides its picture: the profile (APP2) and Adobe's colour
# transform (APP14) belong to the picture.
_APPLICATION = range(0xE0, 0xF0)
_OF_THE_PICTURE = (0xE2, 0xEE)
_COMMENT, _SCAN = 0xFE, 0xDA


def of_pixels(picture: Image.Image) -> bytes:
    """Return the digest, 32 bytes, of an upright RGB picture of full size."""
    digest = hashlib.sha256(b"%d %d RGB\n" % picture.size)
    for strip in _strips(picture):
        digest.update(strip.tobytes())
    return digest.digest()


def of_large(picture: Image.Image, orientation: int) -> bytes:
    """Return the digest of a picture of full size, neither turned nor made sRGB as a whole.

    Large ones are not given the memory for that. Those of other modes or profiles have
    other digests, even where they look the same.
    """
    profile = picture.info.get("icc_profile") or b""
    known = hashlib.sha256(profile if isinstance(profile, bytes) else b"").digest()
    form = _form(picture)
    head = b"%d %d %s large %d\n" % (*picture.size, form.encode(), orientation)
    digest = hashlib.sha256(head + known)
    for strip in _strips(picture):
        digest.update(strip.convert(form).tobytes())
    return digest.digest()


def _form(picture: Image.Image) -> str:
    """Return the mode that says the same as the picture's own, and as others of its kind."""
    if picture.mode in ("1", "L", "P", "RGB") and "transparency" not in picture.info:
        return "RGB"
    if picture.mode in ("L", "P", "RGB", "LA", "PA", "RGBA"):
        return "RGBA"
    return picture.mode


def of_jpeg_data(data: bytes, orientation: int) -> bytes:
    """Return the digest of the coded picture in a JPEG: all but what is said about it."""
    digest = hashlib.sha256(b"jpeg %d\n" % orientation)
    for piece in _coded(data):
        digest.update(piece)
    return digest.digest()


def _strips(picture: Image.Image) -> Iterator[Image.Image]:
    for top in range(0, picture.height, _STRIP_ROWS):
        yield picture.crop((0, top, picture.width, min(top + _STRIP_ROWS, picture.height)))


def _coded(data: bytes) -> Iterator[memoryview]:
    """Yield the segments that decide about pixels, and from the first scan on everything."""
    view = memoryview(data)
    at = 2
    while at + 4 <= len(data):
        code = data[at + 1]
        if data[at] != 0xFF or code == _SCAN:
            break
        if code == 0xFF:  # fill bytes may stand before a marker
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        said = code in _APPLICATION or code == _COMMENT
        if not said or code in _OF_THE_PICTURE:
            yield view[at:end]
        at = end
    yield view[at:]
