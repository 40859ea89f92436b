"""Deep pictures look as they do in 8 bits, whatever part of their container they use."""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from embedder_service.decode.facts import is_blank, working_luminance
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from embedder_service.preprocess import U8
from lookalike.wire.errors import ImageUnreadable
from tests.hostile.crafted import chunk
from tests.hostile.files import encoded, photo
from tests.hostile.pictures import Samples, deep_png, tiff

LIMITS = ImageLimits(max_image_bytes=1 << 20, max_image_pixels=1_000_000, max_aspect_ratio=50)
PHOTO = photo(random.Random(3), 64, 48)
COLOURS: U8 = np.asarray(PHOTO)
GREYS: U8 = np.asarray(PHOTO.convert("L"))
OPAQUE: U8 = np.full_like(GREYS, 255)
DEPTHS = (8, 10, 12, 14, 16)


def decode(data: bytes) -> npt.NDArray[np.int64]:
    picture = decode_file(data, LIMITS, least_short_side_px=594, admit=lambda pixels: None)
    return np.asarray(picture.rgb).astype(np.int64)


def assert_shows(data: bytes, expected: Samples, tolerance: int = 1) -> None:
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=2)
    assert np.abs(decode(data) - expected.astype(np.int64)).max() <= tolerance


def deep(samples: U8, bits: int) -> npt.NDArray[np.uint16]:
    return ((samples.astype(np.uint16) * 257) >> (16 - bits)).astype(np.uint16)


@pytest.mark.parametrize("bits", DEPTHS)
def test_pngs_of_any_depth(bits: int) -> None:
    assert_shows(deep_png(deep(GREYS, bits)), GREYS)
    assert_shows(deep_png(deep(COLOURS, bits)), COLOURS)
    assert_shows(deep_png(deep(np.dstack([COLOURS, OPAQUE]), bits)), COLOURS)
    assert_shows(deep_png(deep(np.dstack([GREYS, OPAQUE]), bits)), GREYS)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", DEPTHS)
def test_tiffs_of_any_depth(bits: int, order: Literal["<", ">"]) -> None:
    assert_shows(tiff(deep(GREYS, bits), order=order), GREYS)
    assert_shows(tiff(deep(COLOURS, bits), order=order), COLOURS)
    assert_shows(tiff(deep(COLOURS, bits), order=order, deflate=True), COLOURS)
    inks = np.dstack([255 - COLOURS, np.zeros_like(GREYS)])
    assert_shows(tiff(deep(inks, bits), order=order), COLOURS)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "raw"])
def test_compressed_tiffs(compression: str) -> None:
    data = encoded(Image.fromarray(deep(GREYS, 12)), "TIFF", compression=compression)
    assert_shows(data, GREYS)


def test_tags_that_agree_with_the_values_are_followed() -> None:
    thousand = (GREYS.astype(np.uint32) * 1000 // 255).astype(np.uint16)
    assert_shows(tiff(thousand, tags=[(281, 3, [1000])]), GREYS, tolerance=2)
    assert_shows(tiff(deep(GREYS, 16), tags=[(281, 3, [1000])]), GREYS)
    # Samples of a PNG with significant bits are moved up by its own rules.
    assert_shows(deep_png(deep(GREYS, 16) & 0xFFF0, chunk(b"sBIT", b"\x0c")), GREYS)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_png_that_tells_its_depth_is_not_brightened(bits: int) -> None:
    told = chunk(b"sBIT", bytes([bits]))
    all_told = chunk(b"sBIT", bytes([bits] * 3))
    with_opacity = chunk(b"sBIT", bytes([bits] * 3 + [16]))
    dark = GREYS // 8
    colours = COLOURS // 8
    assert_shows(deep_png(deep(dark, bits), told), dark)
    assert_shows(deep_png(deep(colours, bits), all_told), colours)
    opaque = np.full_like(GREYS, 65535, dtype=np.uint16)
    assert_shows(deep_png(np.dstack([deep(colours, bits), opaque]), with_opacity), colours)
    # Moved up, as the standard has it: what is darker than the depth's own range is so.
    black = (deep(GREYS, bits) >> (18 - bits)) << (16 - bits)
    assert black.max() < 1 << bits
    assert_shows(deep_png(black, told), black >> 8)
    assert_shows(deep_png(np.dstack([black] * 3), all_told), black >> 8)


@pytest.mark.parametrize("said", [b"", b"\0", b"\x08", b"\xff", b"\x10" * 9])
def test_a_depth_that_cannot_be_is_ignored(said: bytes) -> None:
    assert_shows(deep_png(deep(GREYS, 12), chunk(b"sBIT", said)), GREYS)


def test_dark_pictures_of_all_bits_stay_dark() -> None:
    dark = GREYS.astype(np.uint16) * 100
    assert_shows(tiff(dark), dark >> 8)
    assert_shows(deep_png(np.dstack([dark, dark, dark])), dark >> 8)


@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_samples(order: Literal["<", ">"]) -> None:
    wide = GREYS.astype(np.int32)
    moved = (wide * 257 - 32768).astype(np.int16)
    assert_shows(tiff(moved, sample_format=2, order=order), GREYS)
    for scale in (1, 4, 16, 64, 128):
        positive = (wide * scale).astype(np.int16)
        assert_shows(tiff(positive, sample_format=2, order=order), GREYS)
    assert_shows(tiff((wide - 128).astype(np.int8), sample_format=2, order=order), GREYS)
    # As in tomography: what is there is stretched.
    shown = decode(tiff((wide * 12 - 1024).astype(np.int16), sample_format=2, order=order))
    assert np.corrcoef(shown[..., 0].ravel(), GREYS.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("scale", [1, 257, 0x10101, 0x1010101])
def test_wide_samples(scale: int) -> None:
    assert_shows(tiff(GREYS.astype(np.uint32) * np.uint32(scale)), GREYS)


def test_a_profile_survives_scaling() -> None:
    data = encoded(Image.fromarray(deep(GREYS, 12)), "PNG", icc_profile=b"nonsense" * 30)
    assert_shows(data, GREYS)


@pytest.mark.parametrize(
    "data",
    [
        tiff(COLOURS, tags=[(50706, 3, [1])]),
        tiff(COLOURS, tags=[(254, 4, [1]), (330, 4, [8])]),
        tiff(GREYS, photometric=32803),
    ],
)
def test_a_raw_file_is_not_its_preview(data: bytes) -> None:
    with pytest.raises(ImageUnreadable, match="raw"):
        decode(data)


def blank(picture: Image.Image) -> bool:
    return is_blank(working_luminance(picture))


def test_what_shows_next_to_nothing_is_blank() -> None:
    assert blank(Image.new("RGB", (300, 200), (255, 255, 255)))
    assert blank(Image.new("RGB", (1, 1)))
    assert blank(Image.fromarray((deep(COLOURS, 12) >> 8).astype(np.uint8)))
    speck = Image.new("RGB", (1000, 1000), (255, 255, 255))
    speck.paste((0, 0, 0), (0, 0, 8, 8))
    assert blank(speck)


def test_sparse_pictures_are_not_blank() -> None:
    page = Image.new("RGB", (1000, 1000), (255, 255, 255))
    for line in range(5):
        page.paste((0, 0, 0), (100, 100 + 30 * line, 700, 104 + 30 * line))
    assert not blank(page)
    assert not blank(PHOTO)
    assert not blank(Image.linear_gradient("L").convert("RGB"))
