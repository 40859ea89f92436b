"""JPEGs past the budget of pixels: decoded at a half, a quarter or an eighth of their size.

libjpeg scales while it decodes, a row of blocks at a time, so that a photograph of 200
megapixels takes the memory of what comes out. Where the file comes in several scans, all
its coefficients have to be held besides: those have a budget of their own.
"""

from __future__ import annotations

from PIL import ImageFile

from embedder_service.decode.limits import ImageLimits
from lookalike.wire.errors import ImageTooLarge

# MPO: several JPEGs in a file, of which the first is taken.
_SCALABLE = ("JPEG", "MPO")
_DIVISORS = (1, 2, 4, 8)
_BLOCK_PX = 8
# libjpeg holds each coefficient in two bytes.
_COEFFICIENT_BYTES = 2
# No more than a picture of max_image_pixels takes that has four components (CMYK) in full.
_COEFFICIENT_BYTES_PER_PIXEL = 4 * _COEFFICIENT_BYTES
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_PROGRESSIVE = (0xC2, 0xCA)
_SCAN, _FILL = 0xDA, 0xFF


def checked_pixels(image: ImageFile.ImageFile, data: bytes, limits: ImageLimits) -> int:
    """Return the number of pixels of an opened file for which its decoding needs memory.

    Raises:
        ImageUnreadable, ImageTooLarge: its header passes a limit.
    """
    width_px, height_px = image.size
    pixels = width_px * height_px
    if image.format not in _SCALABLE or pixels <= limits.max_image_pixels:
        limits.check_size(width_px, height_px)
        return pixels
    limits.check_scaled_size(width_px, height_px)
    held = coefficient_bytes(data)
    if held > _COEFFICIENT_BYTES_PER_PIXEL * limits.max_image_pixels:
        raise ImageTooLarge(
            f"the image is a progressive JPEG of {width_px} x {height_px} pixels, which cannot be "
            f"decoded in parts as it is past {limits.max_image_pixels:,} pixels (the embedder's "
            "setting max_image_pixels): save it as a baseline JPEG, or send a smaller copy"
        )
    part = _divided(width_px, height_px, divisor(width_px, height_px, limits.max_image_pixels))
    return max(part, min(held // _COEFFICIENT_BYTES_PER_PIXEL, limits.max_image_pixels))


def draft(image: ImageFile.ImageFile, least_short_side_px: int | None, most_pixels: int) -> None:
    """Let libjpeg scale while it decodes.

    To a short side of no less than `least_short_side_px`, unless even that is more
    than `most_pixels`; with None only as far as those ask for.
    """
    width_px, height_px = image.size
    by = divisor(width_px, height_px, most_pixels)
    wanted = (width_px // by, height_px // by)
    if least_short_side_px is not None:
        scale = min(least_short_side_px / min(image.size), 1.0)
        # Rounded up, so that the short side never falls below the least.
        least = (-int(-width_px * scale // 1), -int(-height_px * scale // 1))
        wanted = (min(wanted[0], least[0]), min(wanted[1], least[1]))
    if wanted != image.size:
        image.draft(image.mode, wanted)


def divisor(width_px: int, height_px: int, most_pixels: int) -> int:
    """Return the least divisor of both sides that keeps the budget, or the greatest there is."""
    fitting = (by for by in _DIVISORS if _divided(width_px, height_px, by) <= most_pixels)
    return next(fitting, _DIVISORS[-1])


def _divided(width_px: int, height_px: int, by: int) -> int:
    return -(-width_px // by) * -(-height_px // by)


def coefficient_bytes(data: bytes) -> int:
    """Return what libjpeg holds of a JPEG until its last scan came, 0 where it need not."""
    at, frame, several = 2, b"", False
    while at + 4 <= len(data) and data[at] == 0xFF:
        code = data[at + 1]
        if code == _FILL:
            at += 1
            continue
        body = data[at + 4 : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
        if code in _FRAMES and len(body) > 5:
            frame, several = body, code in _PROGRESSIVE
        if code == _SCAN:
            # A scan of some of the components: the others follow.
            several = several or (bool(frame and body) and body[0] < frame[5])
            break
        at += 4 + len(body)
    return _frame_bytes(frame) if several else 0


def _frame_bytes(frame: bytes) -> int:
    height_px, width_px = (int.from_bytes(frame[at : at + 2], "big") for at in (1, 3))
    samplings = [(byte >> 4, byte & 15) for byte in frame[7 : 6 + 3 * frame[5] : 3]]
    if not samplings or any(not wide or not high for wide, high in samplings):
        return 0
    most_wide = max(wide for wide, _ in samplings)
    most_high = max(high for _, high in samplings)
    across, down = -(-width_px // (_BLOCK_PX * most_wide)), -(-height_px // (_BLOCK_PX * most_high))
    blocks = sum(across * wide * down * high for wide, high in samplings)
    return blocks * _BLOCK_PX * _BLOCK_PX * _COEFFICIENT_BYTES
