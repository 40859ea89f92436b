"""Raw files of cameras, as small as they can be: DNG with a preview and a sensor's values."""

from __future__ import annotations

import io
import struct
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SIGNED_RATIONAL = 1, 2, 3, 4, 5, 10
_FORMS = {_SHORT: "H", _LONG: "I", _RATIONAL: "I", _SIGNED_RATIONAL: "i"}
_HEADER_BYTES = 8
Values: TypeAlias = "bytes | list[int]"
Tags: TypeAlias = "dict[int, tuple[int, Values]]"


def sensor(width_px: int, height_px: int, colour: tuple[int, int, int]) -> npt.NDArray[np.uint16]:
    """Return what a sensor with a Bayer pattern of RGGB sees of one colour, 0 to 65,535."""
    red, green, blue = colour
    cell = np.array([[red, green], [green, blue]], dtype=np.uint16)
    return np.tile(cell, (height_px // 2, width_px // 2))


def dng(
    values: npt.NDArray[np.uint16], preview: Image.Image | None, *, orientation: int = 1
) -> bytes:
    """Return a DNG of a sensor's values, with a JPEG as its preview."""
    jpeg = b""
    if preview is not None:
        held = io.BytesIO()
        preview.save(held, "JPEG", quality=95)
        jpeg = held.getvalue() + b"\0" * (held.tell() % 2)
    height_px, width_px = values.shape
    told: Tags = {
        271: (_ASCII, b"Maker\0"),
        272: (_ASCII, b"Model\0"),
        274: (_SHORT, [orientation]),
        50706: (_BYTE, b"\1\4\0\0"),
        50708: (_ASCII, b"Maker Model\0"),
        50721: (_SIGNED_RATIONAL, [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]),
        50728: (_RATIONAL, [1, 1] * 3),
        50778: (_SHORT, [21]),
    }

    def directories(raw_at: int, jpeg_at: int, jpeg_place: int) -> tuple[bytes, bytes]:
        raw: Tags = {
            254: (_LONG, [0]),
            256: (_LONG, [width_px]),
            257: (_LONG, [height_px]),
            258: (_SHORT, [16]),
            259: (_SHORT, [1]),
            262: (_SHORT, [32803]),
            273: (_LONG, [raw_at]),
            277: (_SHORT, [1]),
            278: (_LONG, [height_px]),
            279: (_LONG, [values.nbytes]),
            33421: (_SHORT, [2, 2]),
            33422: (_BYTE, b"\0\1\1\2"),
            50717: (_LONG, [65_535]),
        }
        if preview is None:
            return _directory({**told, **raw}, _HEADER_BYTES), b""
        seen: Tags = {
            254: (_LONG, [1]),
            256: (_LONG, [preview.width]),
            257: (_LONG, [preview.height]),
            258: (_SHORT, [8, 8, 8]),
            259: (_SHORT, [7]),
            262: (_SHORT, [6]),
            273: (_LONG, [jpeg_at]),
            277: (_SHORT, [3]),
            278: (_LONG, [preview.height]),
            279: (_LONG, [len(jpeg)]),
            330: (_LONG, [jpeg_place]),
        }
        return _directory({**told, **seen}, _HEADER_BYTES), _directory(raw, jpeg_place)

    first, _ = directories(0, 0, 0)
    second_at = _HEADER_BYTES + len(first)
    _, second = directories(0, 0, second_at)
    jpeg_at = second_at + len(second)
    first, second = directories(jpeg_at + len(jpeg), jpeg_at, second_at)
    head = b"II*\0" + struct.pack("<I", _HEADER_BYTES)
    return head + first + second + jpeg + values.astype("<u2").tobytes()


def _directory(tags: Tags, at: int) -> bytes:
    """Return a directory that stands at a place, and behind it what its fields cannot hold."""
    behind = at + 2 + 12 * len(tags) + 4
    fields, far = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        if isinstance(values, bytes):
            raw, count = values, len(values)
        else:
            raw = struct.pack(f"<{len(values)}{_FORMS[kind]}", *values)
            count = len(values) // (2 if kind in (_RATIONAL, _SIGNED_RATIONAL) else 1)
        if len(raw) > 4:
            place = struct.pack("<I", behind + len(far))
            far += raw + b"\0" * (len(raw) % 2)
            raw = place
        fields += struct.pack("<HHI", tag, kind, count) + raw.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + fields + bytes(4) + far
