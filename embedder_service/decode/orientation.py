"""Which way up a picture is, and turning it so."""

from __future__ import annotations

from PIL import Image, ImageFile

from embedder_service.decode.damage import DAMAGE
from embedder_service.decode.opening import turned_by_decoder

_EXIF_ORIENTATION = 0x0112
_SWAPS_SIDES = (5, 6, 7, 8)
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(image: ImageFile.ImageFile) -> int:
    """Return how to turn a picture, as EXIF numbers it; 1 where nothing readable says so."""
    if turned_by_decoder(image):
        return 1
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except DAMAGE:
        # Broken metadata does not make the pixels wrong.
        return 1
    return value if isinstance(value, int) else 1


def turned(rgb: Image.Image, orientation: int) -> Image.Image:
    """Return a picture upright."""
    return rgb.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else rgb


def upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return the size that a picture has when it is upright."""
    return size[::-1] if orientation in _SWAPS_SIDES else size
