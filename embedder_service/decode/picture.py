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

from embedder_service.decode import camera_raw, pixel_hash
from embedder_service.decode.colour import to_srgb
from embedder_service.decode.cut import bmp, gif, jpeg, png, tiff, webp
from embedder_service.decode.cut.remains import Remains, fill
from embedder_service.decode.damage import DAMAGE
from embedder_service.decode.depth import eight_bit_depth
from embedder_service.decode.extras import CAMERA_RAW
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.naming import what_it_is
from embedder_service.decode.opening import opened
from embedder_service.decode.orientation import orientation_of, turned, upright
from embedder_service.decode.scaled import draft
from embedder_service.preprocess import CONTRAST
from lookalike.wire.errors import ImageTooLarge, ImageUnreadable

# Modes that Pillow can reduce by averaging without losing their meaning.
_REDUCIBLE = ("L", "RGB", "RGBA", "CMYK", "LA")

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


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked of a picture: see `decode_file`."""

    least_short_side_px: int | None
    ground: str


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
    ground: str = CONTRAST,
) -> Picture:
    """Return the first frame of an encoded file.

    `admit` is called with the number of pixels before they are decoded, and may
    wait. The picture may be reduced, to a short side of no less than
    `least_short_side_px`; with None it is not, and no colour profile is applied.
    `ground`: see `Preprocess`.

    Raises:
        ImageUnreadable: no image in a supported format, or damaged.
        ImageTooLarge: passes a limit, or needs more memory than there is.
    """
    wanted = _Wanted(least_short_side_px, ground)
    try:
        if (cut_webp := webp.header(data)) is not None:
            limits.check_size(cut_webp.width_px, cut_webp.height_px)
            admit(cut_webp.width_px * cut_webp.height_px)
            return _load_webp(data, cut_webp, limits, wanted)
        if kind := camera_raw.kind_of(data):
            found = camera_raw.read(data, kind, limits, admit)
            if isinstance(found, bytes):
                with opened(found, limits, admit) as image:
                    seen = _load(image, found, limits, wanted)
            else:
                seen = _developed(found, wanted)
            return replace(seen, format=CAMERA_RAW.format)
        with opened(data, limits, admit) as image:
            return _load(image, data, limits, wanted)
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


def _developed(sensor: Image.Image, wanted: _Wanted) -> Picture:
    done = _finished(sensor, sensor.size, 1, "", wanted)
    return replace(done, digest=lambda: pixel_hash.of_pixels(sensor))


def _load(image: ImageFile.ImageFile, data: bytes, limits: ImageLimits, wanted: _Wanted) -> Picture:
    size = image.size
    # The decoder of MPO hands out the first JPEG of several.
    name = "JPEG" if image.format == "MPO" else image.format or ""
    if name == "JPEG":
        draft(image, wanted.least_short_side_px, limits.max_image_pixels)
    reopen = partial(
        _reopened,
        name=name,
        wanted=wanted,
        most_pixels=limits.max_image_pixels,
    )
    remains = _look(name, image, data, reopen)
    if remains is None:
        image.load()
        flat = eight_bit_depth(image, data)
        orientation = orientation_of(image)
        done = _finished(flat, size, orientation, name, wanted)
        profiled = wanted.least_short_side_px is not None  # to sRGB: as the digest has it
        if profiled and done.rgb.size == upright(size, orientation):
            return replace(done, digest=lambda: pixel_hash.of_pixels(done.rgb))
        drafted = flat.size != size
        return replace(done, digest=lambda: _digest(None if drafted else flat, data, orientation))
    limits.check_share(remains.share)
    with reopen(remains.data) as rest:
        _load_leniently(rest)
        flat = eight_bit_depth(rest, remains.data)
        fill(flat, remains.missing)
        done = _finished(flat, size, orientation_of(image), name, wanted)
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


def _reopened(data: bytes, *, name: str, wanted: _Wanted, most_pixels: int) -> ImageFile.ImageFile:
    image = Image.open(io.BytesIO(data), formats=(name,))
    if name == "JPEG":
        draft(image, wanted.least_short_side_px, most_pixels)
    return image


def _load_leniently(image: ImageFile.ImageFile) -> None:
    """Load what there is; which rows that are was found out before."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image.load()
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _load_webp(data: bytes, cut: webp.CutWebp, limits: ImageLimits, wanted: _Wanted) -> Picture:
    share, flat, missing = webp.decode(data, cut)
    limits.check_share(share)
    fill(flat, missing)
    size = (cut.width_px, cut.height_px)
    # EXIF stands at the end of the file.
    return replace(_finished(flat, size, 1, "WEBP", wanted), truncated=True)


def _finished(
    flat: Image.Image,
    size: tuple[int, int],
    orientation: int,
    name: str,
    wanted: _Wanted,
) -> Picture:
    profiles = wanted.least_short_side_px is not None
    small = reduced(flat, wanted.least_short_side_px)

    def finish(rgb: Image.Image) -> Image.Image:
        # Modes that cannot be averaged as they are can be once they are RGB.
        return turned(reduced(rgb, wanted.least_short_side_px), orientation)

    done = Picture(
        finish(to_srgb(small, profiles=profiles, ground=wanted.ground)),
        *upright(size, orientation),
        name,
    )
    if not profiles or not small.info.get("icc_profile"):
        return done
    return replace(done, unprofiled=finish(to_srgb(small, profiles=False, ground=wanted.ground)))


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
        return pixel_hash.of_pixels(turned(to_srgb(flat), orientation))
    except (*DAMAGE, MemoryError):
        return b""  # the picture is good; only this proof is missing


def reduced(image: Image.Image, least_short_side_px: int | None) -> Image.Image:
    """Average whole blocks of pixels, keeping the profile and transparency."""
    factor = 1 if least_short_side_px is None else min(image.size) // least_short_side_px
    if factor < 2 or image.mode not in _REDUCIBLE or "transparency" in image.info:
        return image
    small = image.reduce(factor)
    small.info = image.info
    return small


_LOOKS: dict[str, Callable[[bytes, ImageFile.ImageFile], Remains | None]] = {
    "PNG": png.look,
    "GIF": gif.look,
    "BMP": bmp.look,
    "TIFF": tiff.look,
}
