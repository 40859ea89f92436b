"""A file to a picture that is known by its header, and within the limits."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageFile, UnidentifiedImageError

from embedder_service.decode import jxl_size
from embedder_service.decode.extras import HEIF, JXL, Extra, extra_of
from embedder_service.decode.limits import FORMATS, ImageLimits
from embedder_service.decode.scaled import checked_pixels
from lookalike.wire.errors import ImageUnreadable


def opened(data: bytes, limits: ImageLimits, admit: Callable[[int], None]) -> ImageFile.ImageFile:
    """Return the first picture of a file, after `admit` was called with its pixels.

    Raises:
        ImageUnreadable, ImageTooLarge: it passes a limit, or is none of what is meant.
        UnidentifiedImageError: no format that is known.
    """
    extra = extra_of(data)
    if extra is not None:
        return _opened_by_extra(data, extra, limits, admit)
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    pixels = checked_pixels(image, data, limits)
    admit(pixels)
    return image


def _opened_by_extra(
    data: bytes, extra: Extra, limits: ImageLimits, admit: Callable[[int], None]
) -> ImageFile.ImageFile:
    extra.load()
    if extra is JXL:
        # To open it is to decode it.
        width_px, height_px = jxl_size.size_px(data)
        limits.check_size(width_px, height_px)
        admit(width_px * height_px)
    try:
        image = Image.open(io.BytesIO(data), formats=(extra.format,))
    except UnidentifiedImageError as error:
        raise ImageUnreadable(
            f"this is {extra.title} that is damaged, cut short or of a rare form: send the whole "
            "file, or convert it to JPEG or PNG"
        ) from error
    limits.check_size(*image.size)
    if extra is HEIF:
        admit(image.width * image.height)
    return image


def turned_by_decoder(image: ImageFile.ImageFile) -> bool:
    """Tell whether a picture is upright already, whatever its EXIF data says."""
    if image.format == JXL.format:
        # The codestream's own orientation counts; a JPEG in it comes as it was.
        return not getattr(image, "jpeg", False)
    return image.format == HEIF.format
