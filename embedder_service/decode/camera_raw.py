"""Raw files of cameras: the picture that the camera made of one, or one made of the sensor.

Most hold a JPEG of full or half size beside the sensor's values: what the photographer saw.
It is decoded as any JPEG. Without one that is large enough the sensor's values are developed,
at half the sensor's sides, with the camera's white balance.
"""

from __future__ import annotations

import importlib
import io
import struct
from collections.abc import Callable
from contextlib import closing
from typing import Any

from PIL import Image

from embedder_service.decode.cut.tiff_directory import Directory
from embedder_service.decode.extras import CAMERA_RAW, Extra
from embedder_service.decode.limits import ImageLimits
from lookalike.wire.errors import ImageTooLarge, ImageUnreadable
from lookalike.wire.foreign_formats import CR3, DEVELOP, Foreign, brands_of, by_beginning

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# The short side that decoding may shrink a picture to for a network of 260 px
# (`preprocess.least_short_side_px`): with less, a preview shows less than the file holds.
LEAST_PREVIEW_PX = 594

_DNG_VERSION, _MAKE, _SUB_DIRECTORIES, _SUBFILE, _PHOTOMETRIC = 50706, 271, 330, 254, 262
_COMPRESSION = 259
# Sony, Nikon, lossy DNG, Pentax.
_RAW_COMPRESSIONS = (32767, 34713, 34892, 65535)
_SENSOR = (32803, 34892)  # TIFF/EP and DNG: a colour filter array, linear raw
_REDUCED = 1
# The name comes from the file and goes into messages.
_MOST_MAKE_CHARACTERS = 24


def kind_of(data: bytes) -> str:
    """Return what raw file this is, as a sentence would call it; "" for all other files."""
    known = by_beginning(data) or (CR3 if b"crx " in brands_of(data) else None)
    if known is not None:
        return known.described if _is_raw(known) else ""
    if not data.startswith(TIFF_STARTS):
        return ""
    try:
        directory = Directory(data)
    except (ValueError, struct.error):
        return ""
    if _DNG_VERSION in directory:
        return "a raw file (DNG)"
    is_raw = (
        directory.number(_PHOTOMETRIC, 0) in _SENSOR
        or directory.number(_COMPRESSION, 0) in _RAW_COMPRESSIONS
        or (directory.number(_SUBFILE, 0) & _REDUCED and _SUB_DIRECTORIES in directory)
    )
    if not is_raw:
        return ""
    make = directory.text(_MAKE).split(" ")[0].title()
    told = make.isalnum() and len(make) <= _MOST_MAKE_CHARACTERS
    return f"a raw file ({make})" if told else "a raw file"


def read(
    data: bytes,
    kind: str,
    limits: ImageLimits,
    admit: Callable[[int], None],
    extra: Extra = CAMERA_RAW,
) -> bytes | Image.Image:
    """Return the JPEG that a raw file holds, or else the picture that its sensor took.

    `admit` is called with the number of the sensor's pixels before they are decoded.

    Raises:
        ImageUnreadable: what reads such files is not installed, or cannot read this one.
        ImageTooLarge: it passes a limit.
    """
    rawpy = _rawpy(kind, extra)
    try:
        with closing(rawpy.imread(io.BytesIO(data))) as raw:
            sizes = raw.sizes
            half = min(sizes.raw_width, sizes.raw_height) // 2
            preview = _preview(rawpy, raw, min(LEAST_PREVIEW_PX, half))
            if preview:
                return preview
            limits.check_size(sizes.raw_width, sizes.raw_height)
            admit(sizes.raw_width * sizes.raw_height)
            pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
    except (rawpy.LibRawUnsufficientMemoryError, rawpy.LibRawTooBigError) as error:
        raise ImageTooLarge(
            f"this is {kind} that needs more memory than one image may use (the embedder's "
            f"setting decode_memory_mib): {DEVELOP}"
        ) from error
    except rawpy.LibRawError as error:
        raise ImageUnreadable(
            f"this is {kind} that is damaged, cut short or of a form that is not known here: "
            f"send the whole file, or {DEVELOP}"
        ) from error
    return Image.fromarray(pixels)


def _preview(rawpy: Any, raw: Any, least_px: int) -> bytes:
    """Return the camera's own picture; nothing where there is none, or a small one."""
    try:
        found = raw.extract_thumb()
    except rawpy.LibRawNonFatalError:
        return b""
    if found.format != rawpy.ThumbFormat.JPEG:
        return b""  # a bitmap, which cameras have for their screens
    try:
        with Image.open(io.BytesIO(found.data), formats=("JPEG",)) as image:
            large_enough = min(image.size) >= least_px
    except (OSError, SyntaxError, ValueError):
        return b""
    # LibRaw adds the file's orientation where the JPEG says none.
    return bytes(found.data) if large_enough else b""


def _rawpy(kind: str, extra: Extra) -> Any:
    try:
        return importlib.import_module(extra.module)
    except ImportError as error:
        raise ImageUnreadable(
            f"this is {kind}, which is not decoded here: install lookalike[{extra.name}] "
            f"where the embedder runs, or {DEVELOP}"
        ) from error


def _is_raw(known: Foreign) -> bool:
    return known.name.startswith("RAW")
