"""JPEGs past the budget of pixels are decoded at a part of their size."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import Picture, decode_file
from embedder_service.decode.scaled import coefficient_bytes, divisor
from lookalike.wire.errors import ImageTooLarge, ImageUnreadable
from tests.hostile.files import encoded, photo

LIMITS = ImageLimits(
    max_image_bytes=1 << 24,
    max_image_pixels=100_000,
    max_aspect_ratio=5,
    max_scaled_pixels=2_000_000,
)
# Twelve times the budget, so that a quarter of each side fits.
LARGE = photo(random.Random(1), 1200, 1000)


def decode(data: bytes, least: int | None = 80) -> tuple[Picture, list[int]]:
    asked: list[int] = []
    picture = decode_file(data, LIMITS, least_short_side_px=least, admit=asked.append)
    return picture, asked


@pytest.mark.parametrize("least", [80, 900, None])
def test_a_large_jpeg_is_decoded_within_the_budget(least: int | None) -> None:
    picture, asked = decode(encoded(LARGE, "JPEG", quality=95), least)
    assert (picture.width_px, picture.height_px, picture.truncated) == (1200, 1000, False)
    assert asked == [300 * 250]
    assert picture.rgb.width * picture.rgb.height <= LIMITS.max_image_pixels
    small = np.asarray(LARGE.resize(picture.rgb.size, Image.Resampling.BOX)).astype(float)
    assert np.abs(np.asarray(picture.rgb).astype(float) - small).mean() < 3


def test_it_is_upright_and_has_a_digest_of_its_own() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, _ = decode(encoded(LARGE, "JPEG"))
    turned, _ = decode(encoded(LARGE, "JPEG", exif=exif))
    assert (turned.width_px, turned.height_px) == (1000, 1200)
    assert turned.rgb.height > turned.rgb.width
    assert len({plain.digest(), turned.digest()}) == 2
    assert len(plain.digest()) == 32


def test_one_without_its_end_is_known_as_such() -> None:
    data = encoded(LARGE, "JPEG")
    picture, _ = decode(data[: int(len(data) * 0.995)])
    assert picture.truncated
    with pytest.raises(ImageUnreadable, match="cut short"):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (encoded(Image.new("L", (1500, 1400)), "JPEG"), "max_scaled_pixels"),
        (encoded(Image.new("L", (2000, 300)), "JPEG"), "max_aspect_ratio"),
        (encoded(LARGE, "JPEG", progressive=True), "progressive JPEG"),
        (encoded(Image.new("L", (1200, 1000)), "PNG"), "max_image_pixels"),
        (encoded(Image.new("L", (1200, 1000)), "WEBP"), "max_image_pixels"),
    ],
)
def test_what_cannot_be_decoded_in_parts_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(ImageTooLarge, match=says):
        decode(data)


def test_a_progressive_one_is_decoded_where_its_coefficients_fit() -> None:
    # 220,000 pixels of 3 bytes of coefficients each: less than 8 for each of the budget.
    picture, asked = decode(encoded(LARGE.resize((550, 400)), "JPEG", progressive=True))
    assert (picture.width_px, picture.height_px) == (550, 400)
    assert len(asked) == 1
    assert 275 * 200 < asked[0] <= LIMITS.max_image_pixels


def test_coefficients_are_held_only_for_several_scans() -> None:
    picture = Image.new("RGB", (160, 160))
    assert coefficient_bytes(encoded(picture, "JPEG")) == 0
    held = encoded(picture, "JPEG", progressive=True, subsampling=0)
    assert coefficient_bytes(held) == 160 * 160 * 3 * 2
    halved = encoded(picture, "JPEG", progressive=True, subsampling=2)
    assert coefficient_bytes(halved) == 160 * 160 * 3
    # A scan that begins with some of the components needs the rest held as well.
    baseline = encoded(picture, "JPEG", subsampling=0)
    scan = baseline.index(b"\xff\xda")
    assert coefficient_bytes(baseline[: scan + 4] + b"\1" + baseline[scan + 5 :]) == 160 * 160 * 6
    assert coefficient_bytes(b"\xff\xd8") == 0


def test_the_least_divisor_is_taken() -> None:
    # Phone photographs of 108 and 200 megapixels at the default budget.
    assert divisor(12000, 9000, 50_000_000) == 2
    assert divisor(16320, 12240, 50_000_000) == 2
    assert divisor(16384, 12288, 50_000_000) == 4
    assert divisor(1, 1, 50_000_000) == 1
