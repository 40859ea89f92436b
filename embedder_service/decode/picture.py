"""One file, or one block of raw pixels, to an upright sRGB picture.

Runs in the decode processes. The order matters: the header's size is checked
before any pixel is decoded, and a large picture is reduced before its colours
are converted, so that the costly steps see few pixels.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from PIL import AvifImagePlugin, Image, ImageFile, UnidentifiedImageError

from embedder_service.decode.colour import to_srgb
from embedder_service.decode.limits import FORMATS, ImageLimits
from lookalike.wire.errors import ImageTooLarge, ImageUnreadable

# Modes that Pillow can reduce by averaging without losing their meaning.
_REDUCIBLE = ("L", "RGB", "RGBA", "CMYK", "LA")

# What Pillow raised on 8,373 hostile files, and what its parsers raise on
# fields that point outside the file.
DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    RuntimeError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
)


DAMAGED = "the image file is damaged or cut short"
TOO_MUCH_MEMORY = (
    "the image needs more memory to decode than one image may use: send a smaller copy"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright RGB picture, reduced or not, with what the file said."""

    rgb: Image.Image
    width_px: int
    height_px: int
    format: str


def prepare_process(limits: ImageLimits) -> None:
    """Set Pillow's process-wide switches."""
    Image.init()
    Image.MAX_IMAGE_PIXELS = limits.max_image_pixels
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # More threads would escape the process's share of the machine.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def decode_file(
    data: bytes,
    limits: ImageLimits,
    *,
    least_short_side_px: int,
    admit: Callable[[int], None],
) -> Picture:
    """Return the first frame of an encoded file.

    `admit` is called with the number of pixels before they are decoded, and may
    wait. The picture may be reduced, to a short side of no less than
    `least_short_side_px`.

    Raises:
        ImageUnreadable: no image in a supported format, or damaged.
        ImageTooLarge: passes a limit, or needs more memory than there is.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            limits.check_size(*image.size)
            admit(image.width * image.height)
            return _load(image, least_short_side_px)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(
            f"the image has more than {limits.max_image_pixels} pixels: send a smaller copy"
        ) from error
    except MemoryError as error:
        raise ImageTooLarge(TOO_MUCH_MEMORY) from error
    except UnidentifiedImageError as error:
        raise ImageUnreadable(
            f"the bytes are not an image in a supported format ({', '.join(FORMATS)})"
        ) from error
    except (ImageTooLarge, ImageUnreadable):
        raise
    except DAMAGE as error:
        raise ImageUnreadable(DAMAGED) from error


def from_raw(rgb8: bytes, width_px: int, height_px: int) -> Picture:
    """Return raw RGB rows as a picture; sizes are already checked."""
    rgb = Image.frombuffer("RGB", (width_px, height_px), rgb8, "raw", "RGB", 0, 1)
    return Picture(rgb, width_px, height_px, "RAW")


def _load(image: ImageFile.ImageFile, least_short_side_px: int) -> Picture:
    width_px, height_px = image.size
    # The decoder of MPO hands out the first JPEG of several.
    name = "JPEG" if image.format == "MPO" else image.format or ""
    if name == "JPEG":
        _draft(image, least_short_side_px)
    image.load()
    orientation = _orientation(image)
    # Modes that cannot be averaged as they are can be once they are RGB.
    rgb = _reduced(to_srgb(_reduced(image, least_short_side_px)), least_short_side_px)
    if orientation in _TRANSPOSE:
        rgb = rgb.transpose(_TRANSPOSE[orientation])
    if orientation in _SWAPS_SIDES:
        width_px, height_px = height_px, width_px
    return Picture(rgb, width_px, height_px, name)


def _draft(image: ImageFile.ImageFile, least_short_side_px: int) -> None:
    """Let libjpeg scale by 1/2, 1/4 or 1/8 while it decodes."""
    scale = least_short_side_px / min(image.size)
    if scale < 1:
        # Rounded up, so that the short side never falls below the least.
        width_px, height_px = (-int(-side * scale // 1) for side in image.size)
        image.draft(image.mode, (width_px, height_px))


def _reduced(image: Image.Image, least_short_side_px: int) -> Image.Image:
    """Average whole blocks of pixels, keeping the profile and transparency."""
    factor = min(image.size) // least_short_side_px
    if factor < 2 or image.mode not in _REDUCIBLE or "transparency" in image.info:
        return image
    small = image.reduce(factor)
    small.info = image.info
    return small


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 where it is absent or unreadable."""
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except DAMAGE:
        # Broken metadata does not make the pixels wrong.
        return 1
    return value if isinstance(value, int) else 1


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
