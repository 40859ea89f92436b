"""One file, or one block of raw pixels, to an upright sRGB picture.

Runs in the decode processes. The order matters: the header's size is checked
before any pixel is decoded, and a large picture is reduced before its colours
are converted, so that the costly steps see few pixels.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from PIL import AvifImagePlugin, Image, ImageFile, UnidentifiedImageError

from embedder_service.decode import pixel_hash
from embedder_service.decode.colour import to_srgb
from embedder_service.decode.cut import bmp, gif, jpeg, png, tiff, webp
from embedder_service.decode.cut.remains import Remains, fill
from embedder_service.decode.depth import eight_bit_depth
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.naming import what_it_is
from embedder_service.decode.opening import opened, turned_by_decoder
from embedder_service.decode.scaled import draft
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
    "the image needs more memory to decode than one image may use (the embedder's setting "
    "decode_memory_mib): send a smaller copy"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright RGB picture, reduced or not, with what the file said.

    `digest` returns that of the pixels of full size, 32 bytes, or none where a part of
    them is missing; it may have to decode once more, and is not for a file that cannot
    be decoded. `unprofiled` is the picture without the file's colour profile, where it
    has one that was applied.
    """

    rgb: Image.Image
    width_px: int
    height_px: int
    format: str
    truncated: bool = False
    digest: Callable[[], bytes] = field(default=bytes, compare=False)
    unprofiled: Image.Image | None = None


def prepare_process(limits: ImageLimits) -> None:
    """Set Pillow's process-wide switches."""
    Image.init()
    Image.MAX_IMAGE_PIXELS = limits.most_pixels
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # More threads would escape the process's share of the machine.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # What is wrong with a file is answered to its sender.
    logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def decode_file(
    data: bytes,
    limits: ImageLimits,
    *,
    least_short_side_px: int | None,
    admit: Callable[[int], None],
) -> Picture:
    """Return the first frame of an encoded file.

    `admit` is called with the number of pixels before they are decoded, and may
    wait. The picture may be reduced, to a short side of no less than
    `least_short_side_px`; with None it is not, and no colour profile is applied.

    Raises:
        ImageUnreadable: no image in a supported format, or damaged.
        ImageTooLarge: passes a limit, or needs more memory than there is.
    """
    try:
        if (cut_webp := webp.header(data)) is not None:
            limits.check_size(cut_webp.width_px, cut_webp.height_px)
            admit(cut_webp.width_px * cut_webp.height_px)
            return _load_webp(data, cut_webp, limits, least_short_side_px)
        with opened(data, limits, admit) as image:
            return _load(image, data, limits, least_short_side_px)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(
            f"the image has more than {limits.most_pixels:,} pixels (the embedder's settings "
            "max_image_pixels and max_scaled_pixels): send a smaller copy"
        ) from error
    except MemoryError as error:
        raise ImageTooLarge(TOO_MUCH_MEMORY) from error
    except UnidentifiedImageError as error:
        raise ImageUnreadable(what_it_is(data)) from error
    except (ImageTooLarge, ImageUnreadable):
        raise
    except DAMAGE as error:
        raise ImageUnreadable(DAMAGED) from error


def from_raw(rgb8: bytes, width_px: int, height_px: int) -> Picture:
    """Return raw RGB rows as a picture; sizes are already checked."""
    rgb = Image.frombuffer("RGB", (width_px, height_px), rgb8, "raw", "RGB", 0, 1)
    return Picture(rgb, width_px, height_px, "RAW", digest=lambda: pixel_hash.of_pixels(rgb))


def _load(
    image: ImageFile.ImageFile, data: bytes, limits: ImageLimits, least_short_side_px: int | None
) -> Picture:
    size = image.size
    # The decoder of MPO hands out the first JPEG of several.
    name = "JPEG" if image.format == "MPO" else image.format or ""
    if name == "JPEG":
        draft(image, least_short_side_px, limits.max_image_pixels)
    reopen = partial(
        _reopened,
        name=name,
        least_short_side_px=least_short_side_px,
        most_pixels=limits.max_image_pixels,
    )
    remains = _look(name, image, data, reopen)
    if remains is None:
        image.load()
        flat = eight_bit_depth(image, data)
        orientation = _orientation(image)
        done = _finished(flat, size, orientation, name, least_short_side_px)
        profiled = least_short_side_px is not None  # to sRGB: as the digest has it
        if profiled and done.rgb.size == _upright(size, orientation):
            return replace(done, digest=lambda: pixel_hash.of_pixels(done.rgb))
        drafted = flat.size != size
        return replace(done, digest=lambda: _digest(None if drafted else flat, data, orientation))
    limits.check_share(remains.share)
    with reopen(remains.data) as rest:
        _load_leniently(rest)
        flat = eight_bit_depth(rest, remains.data)
        fill(flat, remains.missing)
        done = _finished(flat, size, _orientation(image), name, least_short_side_px)
    return replace(done, truncated=True)


def _look(
    name: str,
    image: ImageFile.ImageFile,
    data: bytes,
    reopen: Callable[[bytes], ImageFile.ImageFile],
) -> Remains | None:
    """Return what came of a file that lacks its end, None for one that does not."""
    if name == "JPEG":
        return jpeg.look(data, image, reopen)
    look = _LOOKS.get(name)
    return look(data, image) if look is not None else None


def _reopened(
    data: bytes, *, name: str, least_short_side_px: int | None, most_pixels: int
) -> ImageFile.ImageFile:
    image = Image.open(io.BytesIO(data), formats=(name,))
    if name == "JPEG":
        draft(image, least_short_side_px, most_pixels)
    return image


def _load_leniently(image: ImageFile.ImageFile) -> None:
    """Load what there is; which rows that are was found out before."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image.load()
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _load_webp(
    data: bytes, cut: webp.CutWebp, limits: ImageLimits, least_short_side_px: int | None
) -> Picture:
    share, flat, missing = webp.decode(data, cut)
    limits.check_share(share)
    fill(flat, missing)
    size = (cut.width_px, cut.height_px)
    # EXIF stands at the end of the file.
    return replace(_finished(flat, size, 1, "WEBP", least_short_side_px), truncated=True)


def _finished(
    flat: Image.Image,
    size: tuple[int, int],
    orientation: int,
    name: str,
    least_short_side_px: int | None,
) -> Picture:
    profiles = least_short_side_px is not None
    small = reduced(flat, least_short_side_px)

    def finish(rgb: Image.Image) -> Image.Image:
        # Modes that cannot be averaged as they are can be once they are RGB.
        return _turned(reduced(rgb, least_short_side_px), orientation)

    done = Picture(finish(to_srgb(small, profiles=profiles)), *_upright(size, orientation), name)
    if not profiles or not small.info.get("icc_profile"):
        return done
    return replace(done, unprofiled=finish(to_srgb(small, profiles=False)))


def _digest(flat: Image.Image | None, data: bytes, orientation: int) -> bytes:
    """Return the digest of a picture that was reduced; None for a JPEG that was while decoded."""
    try:
        if flat is None:
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                if image.width * image.height > pixel_hash.FULL_DECODE_PIXELS:
                    return pixel_hash.of_jpeg_data(data, orientation)
                image.load()
                flat = image.copy()
        if flat.width * flat.height > pixel_hash.FULL_DECODE_PIXELS:
            return pixel_hash.of_large(flat, orientation)
        return pixel_hash.of_pixels(_turned(to_srgb(flat), orientation))
    except (*DAMAGE, MemoryError):
        return b""  # the picture is good; only this proof is missing


def _turned(rgb: Image.Image, orientation: int) -> Image.Image:
    return rgb.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else rgb


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size[::-1] if orientation in _SWAPS_SIDES else size


def reduced(image: Image.Image, least_short_side_px: int | None) -> Image.Image:
    """Average whole blocks of pixels, keeping the profile and transparency."""
    factor = 1 if least_short_side_px is None else min(image.size) // least_short_side_px
    if factor < 2 or image.mode not in _REDUCIBLE or "transparency" in image.info:
        return image
    small = image.reduce(factor)
    small.info = image.info
    return small


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return how to turn a picture, as EXIF numbers it; 1 where nothing readable says so."""
    if turned_by_decoder(image):
        return 1
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except DAMAGE:
        # Broken metadata does not make the pixels wrong.
        return 1
    return value if isinstance(value, int) else 1


_LOOKS: dict[str, Callable[[bytes, ImageFile.ImageFile], Remains | None]] = {
    "PNG": png.look,
    "GIF": gif.look,
    "BMP": bmp.look,
    "TIFF": tiff.look,
}

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
