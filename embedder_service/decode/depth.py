"""Deep samples to 8 bits a channel, whatever part of their container they use.

Cameras, scanners and microscopes put 10, 12 or 14 bits into 16 without moving them
up. Read as 16 bits such a picture is almost black: so the depth is told by a tag where
the values agree with it, and else by the greatest value.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from embedder_service.decode.png_chunks import significant_bits
from embedder_service.preprocess import U8

_BITS, _MAX_SAMPLE, _FORMAT = 258, 281, 339
_SIGNED = 2
# Depths that sensors have; 15 is what is left of signed 16.
_DEPTHS = (8, 10, 12, 14)
# With all samples below this, the upper byte of 16 bits says that fewer are used.
_FEW_BITS = 1 << (14 - 8)
_SWAPPED = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
_CHUNK_ROWS = 256
_WHITE = 0xFFFF
# Where a PNG tells the kind of its colours, and the kind of grey with opacity.
_PNG_BITS, _PNG_COLOUR, _GREY_WITH_ALPHA = 24, 25, 4


def eight_bit_depth(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """Return a loaded picture whose deep samples are scaled to 8 bits.

    `data` is the file that it was loaded from; for colours, whose lower bytes the
    decoder has dropped, it is read again if the upper ones are nearly empty.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _like(image, _greys(image, data))
    if _bits(image, data) == 16 and image.mode in ("RGB", "RGBA", "CMYK"):
        return _colours(image, data)
    if image.mode == "L" and image.format == "TIFF" and _tag(image, _FORMAT) == _SIGNED:
        return _like(image, _scaled(np.asarray(image).view(np.int8), 0, signed=True, most_bits=8))
    return image


def _greys(image: Image.Image, data: bytes) -> U8:
    values = np.asarray(image)
    signed = _tag(image, _FORMAT) == _SIGNED
    bits = _tag(image, _BITS) or 16
    if values.dtype == np.int32 and bits == 32 and not signed and image.format == "TIFF":
        values = values.view(np.uint32)
    told = _told(image, data, values)
    if told == _WHITE:
        return (values >> 8).astype(np.uint8)
    return _scaled(values, told, signed=signed, most_bits=bits)


def _told(image: Image.Image, data: bytes, values: npt.NDArray[Any]) -> int:
    """Return the value that the file tells to be white, 0 where it tells none to be believed.

    `_WHITE` stands for 16-bit samples that are dark and meant so. A PNG's samples should be
    moved up from the depth that it tells, so that their lower bits are empty; those of many
    a camera's program are not.
    """
    if image.format != "PNG":
        return _tag(image, _MAX_SAMPLE)
    bits = significant_bits(data)
    if not 8 < bits <= _DEPTHS[-1] or int(values.max(initial=0)) >= 1 << bits:
        return 0
    empty = (1 << (16 - bits)) - 1
    return (1 << bits) - 1 if (values & empty).any() else _WHITE


def _scaled(values: npt.NDArray[Any], most_told: int, *, signed: bool, most_bits: int) -> U8:
    """Return whole numbers as 8 bits, a band of rows at a time: pictures may be large."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0:
        # The whole range where most of it is used, as in a photograph that was moved down.
        half = 1 << (most_bits - 1)
        if high - low < half:
            floor, most = low, high - low
        else:
            floor, most = -half, 2 * half - 1
    else:
        floor, most = 0, _most(high, most_told, most_bits - 1 if signed else most_bits)
    out = np.empty(values.shape, dtype=np.uint8)
    for top in range(0, values.shape[0], _CHUNK_ROWS):
        band = values[top : top + _CHUNK_ROWS].astype(np.int64) - floor
        # Whole depths drop their lower bits, as decoders do; other ranges are stretched.
        depth = (most + 1).bit_length() - 1
        if most + 1 == 1 << depth and depth >= 8:
            out[top : top + _CHUNK_ROWS] = band >> (depth - 8)
        else:
            out[top : top + _CHUNK_ROWS] = band * 255 // max(most, 1)
    return out


def _most(high: int, told: int, most_bits: int) -> int:
    """Return the value that stands for white."""
    if told >= 255 and high <= told < (1 << most_bits) - 1:
        return told
    fitting = (depth for depth in _DEPTHS if high < 1 << depth and depth <= most_bits)
    depth = next(fitting, most_bits if high < 1 << min(most_bits, 16) else high.bit_length())
    return (1 << (min(depth, 16) if high < 1 << 16 else depth)) - 1


def _colours(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    upper = np.asarray(image)
    colours = upper[..., :3] if image.mode == "RGBA" else upper
    most = int(colours.max(initial=0))
    if most >= _FEW_BITS:
        return image
    lower = _lower_bytes(image, data)
    if lower is None:
        return image
    values = upper.astype(np.uint16) << 8
    values |= lower
    told = _told(image, data, values[..., : colours.shape[-1]])
    if told == _WHITE:
        return image
    flat = np.empty_like(upper)
    # Opacity is as deep as itself says: it is often whole beside dark colours.
    for part in (slice(0, 3), slice(3, 4)) if image.mode == "RGBA" else (slice(None),):
        samples = values[..., part]
        rows = samples.reshape(samples.shape[0], -1)
        white = told if part.start != 3 else 0
        flat[..., part] = _scaled(rows, white, signed=False, most_bits=16).reshape(samples.shape)
    return _like(image, flat)


def _lower_bytes(image: Image.Image, data: bytes) -> U8 | None:
    """Load the file as if its bytes stood in the other order, so that the lower ones stay."""
    if image.format == "PNG" and data[_PNG_COLOUR] == _GREY_WITH_ALPHA:
        # Four bytes a pixel, as in RGBA of 8 bits: read as such, the bytes come apart.
        header = data[12:24] + b"\x08\x06" + data[26:29]
        data = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
        apart = np.asarray(Image.open(io.BytesIO(data), formats=("PNG",)))
        return apart[..., (1, 1, 1, 3)]
    other = Image.open(io.BytesIO(data), formats=(image.format or "",))
    tiles = []
    for codec, extents, offset, options in other.tile:
        parts = (options,) if isinstance(options, str) else tuple(options or ())
        form = parts[0] if parts else ""
        name, _, depth = str(form).partition(";")
        if depth not in _SWAPPED or name not in ("RGB", "RGBA", "RGBX", "CMYK"):
            return None
        swapped = (f"{name};{_SWAPPED[depth]}", *parts[1:])
        tiles.append(ImageFile._Tile(codec, extents, offset, swapped))
    other.tile = tiles
    other.load()
    return np.asarray(other)


def _bits(image: Image.Image, data: bytes) -> int:
    """Return the bits of a sample as the file says, 0 where nothing says so."""
    if image.format == "PNG":
        return data[_PNG_BITS] if len(data) > _PNG_BITS else 0
    return _tag(image, _BITS)


def _tag(image: Image.Image, tag: int) -> int:
    """Return a whole number of a TIFF's tag, the first of several, else 0."""
    value = getattr(image, "tag_v2", {}).get(tag, 0) if image.format == "TIFF" else 0
    first = value[0] if isinstance(value, tuple) and value else value
    return int(first) if isinstance(first, int | float) else 0


def _like(image: Image.Image, pixels: U8) -> Image.Image:
    """Return `pixels` as a picture with the profile and transparency of `image`."""
    mode = image.mode if pixels.ndim == 3 else None
    flat = Image.fromarray(pixels) if mode in (None, "RGB", "RGBA") else _cmyk(pixels)
    profile = image.info.get("icc_profile")
    if profile:
        flat.info["icc_profile"] = profile
    return flat


def _cmyk(pixels: U8) -> Image.Image:
    height, width, _ = pixels.shape
    return Image.frombytes("CMYK", (width, height), pixels.tobytes())
