"""The digest of the pixels: the same for the same picture in any file, and for no other."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedder_service.decode import pixel_hash
from embedder_service.decode.facts import grey_thumbnail, working_luminance
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file, from_raw
from tests.hostile.files import photo

LIMITS = ImageLimits(max_image_bytes=1 << 26, max_image_pixels=40_000_000, max_aspect_ratio=50)
SMALL = (320, 240)
# Reduced while it is decoded, and decoded again for the digest.
MIDDLE = (1_600, 1_200)
# Beyond what is decoded again.
LARGE = (2_600, 1_800)


def digest(data: bytes) -> bytes:
    return decode_file(data, LIMITS, least_short_side_px=594, admit=lambda pixels: None).digest()


def saved(picture: Image.Image, name: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, name, **options)
    return out.getvalue()


def a_picture(size: tuple[int, int], seed: int = 1) -> Image.Image:
    return photo(random.Random(seed), 400, 300).resize(size)


def exif(text: str, orientation: int = 1) -> Image.Exif:
    described = Image.Exif()
    described[0x010E] = text
    described[0x0112] = orientation
    return described


def as_decoded(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


@pytest.mark.parametrize("size", [SMALL, MIDDLE])
def test_a_picture_saved_again_without_loss_keeps_its_digest(size: tuple[int, int]) -> None:
    jpeg = saved(a_picture(size), "JPEG", quality=90)
    same = as_decoded(jpeg)
    found = digest(jpeg)
    assert len(found) == 32
    for name, options in (
        ("PNG", {}),
        ("PNG", {"compress_level": 1}),
        ("BMP", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
    ):
        assert digest(saved(same, name, **options)) == found


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
def test_other_exif_data_keep_the_digest(size: tuple[int, int]) -> None:
    picture = a_picture(size)
    for name in ("JPEG", "PNG"):
        plain = digest(saved(picture, name))
        assert digest(saved(picture, name, exif=exif("described"))) == plain
        assert digest(saved(picture, name, exif=exif("otherwise"))) == plain


@pytest.mark.parametrize("size", [SMALL, MIDDLE])
def test_turning_by_exif_is_turning(size: tuple[int, int]) -> None:
    picture = a_picture(size)
    turned = picture.transpose(Image.Transpose.ROTATE_270)
    assert digest(saved(picture, "PNG", exif=exif("", 6))) == digest(saved(turned, "PNG"))
    assert digest(saved(picture, "PNG", exif=exif("", 6))) != digest(saved(picture, "PNG"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_one_other_pixel_makes_another_digest(size: tuple[int, int], mode: str) -> None:
    picture = a_picture(size).convert(mode)
    before = digest(saved(picture, "PNG"))
    x, y = size[0] - 1, size[1] - 1
    pixel = picture.getpixel((x, y))
    assert pixel is not None
    first = pixel[0] if isinstance(pixel, tuple) else pixel
    other = int(first) ^ 1
    picture.putpixel((x, y), (other, *pixel[1:]) if isinstance(pixel, tuple) else other)
    if mode == "P":  # neighbouring entries may be of one colour
        picture.putpalette(np.random.default_rng(1).bytes(768))
    assert digest(saved(picture, "PNG")) != before


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
def test_recompression_and_other_sizes_make_other_digests(size: tuple[int, int]) -> None:
    picture = a_picture(size)
    whole = saved(picture, "JPEG", quality=90)
    again = saved(as_decoded(whole), "JPEG", quality=70)
    smaller = saved(picture.resize((size[0] // 2, size[1] // 2)), "JPEG", quality=90)
    assert len({digest(whole), digest(again), digest(smaller)}) == 3


def test_a_palette_does_not_matter_where_the_colours_are_the_same() -> None:
    for size in (SMALL, LARGE):
        indexed = a_picture(size).quantize(200)
        assert digest(saved(indexed, "PNG")) == digest(saved(indexed.convert("RGB"), "PNG"))


def test_raw_pixels_have_the_digest_of_their_file() -> None:
    picture = a_picture(SMALL)
    assert from_raw(picture.tobytes(), *SMALL).digest() == digest(saved(picture, "PNG"))


def test_a_file_that_lacks_its_end_has_none() -> None:
    data = saved(a_picture(SMALL), "PNG")
    assert digest(data[: len(data) * 98 // 100]) == b""


def test_a_large_jpeg_is_told_by_what_is_coded() -> None:
    data = saved(a_picture(LARGE), "JPEG", quality=80)
    commented = data[:2] + b"\xff\xff\xfe\x00\x07hello" + data[2:]
    assert digest(commented) == digest(data) == pixel_hash.of_jpeg_data(data, 1)
    assert pixel_hash.of_jpeg_data(data, 6) != digest(data)


def test_a_grey_thumbnail_is_a_square_of_few_bytes() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    for picture in (a_picture(SMALL), a_picture(MIDDLE), Image.fromarray(noise)):
        webp = grey_thumbnail(working_luminance(picture))
        assert 0 < len(webp) <= 3_072
        shown = Image.open(io.BytesIO(webp))
        assert (shown.format, shown.size) == ("WEBP", (64, 64))
        wanted = picture.convert("L").resize((64, 64), Image.Resampling.BOX)
        distance = np.asarray(shown.convert("L"), dtype=float) - np.asarray(wanted, dtype=float)
        assert np.abs(distance).mean() < 20


def test_the_worst_noise_still_has_a_grey_thumbnail() -> None:
    noise = np.random.default_rng(2).integers(0, 2, (256, 256)).astype(np.uint8) * 255
    webp = grey_thumbnail(Image.fromarray(noise))
    assert 0 < len(webp) <= 3_072
