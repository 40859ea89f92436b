"""BMP: rows have one length, and stand from the bottom up."""

from __future__ import annotations

from PIL import ImageFile

from embedder_service.decode.cut.remains import Remains, tail


def look(data: bytes, image: ImageFile.ImageFile) -> Remains | None:
    """Return what came of an uncompressed BMP, None if it is whole or compressed."""
    if len(image.tile) != 1 or image.tile[0][0] != "raw":
        return None
    _, _, offset, options = image.tile[0]
    _, stride, direction = tuple(options or ())
    lacking = offset + stride * image.height - len(data)
    # Some writers leave out what pads the last row.
    if lacking <= 0:
        return None
    came = max(len(data) - offset, 0) // stride
    missing = tail(image.height, came)
    if direction < 0:
        missing = missing[::-1]
    return Remains(came / image.height, missing, data + bytes(lacking))
