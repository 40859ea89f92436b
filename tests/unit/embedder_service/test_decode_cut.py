"""A file that lacks its end is decoded when enough of its rows came."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFile

from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import Picture, decode_file, prepare_process
from lookalike.wire.errors import ImageUnreadable
from tests.hostile.files import encoded, photo
from tests.hostile.pictures import interlaced_png, tiff

LIMITS = ImageLimits(max_image_bytes=1 << 24, max_image_pixels=10_000_000, max_aspect_ratio=50)
PHOTO = photo(random.Random(1), 640, 480)
SAMPLES = np.asarray(PHOTO)
FILES = {
    "jpeg": encoded(PHOTO, "JPEG"),
    "jpeg-full-colour": encoded(PHOTO, "JPEG", subsampling=0),
    "jpeg-progressive": encoded(PHOTO, "JPEG", progressive=True),
    "jpeg-grey": encoded(PHOTO.convert("L"), "JPEG"),
    "png": encoded(PHOTO, "PNG"),
    "png-interlaced": interlaced_png(np.asarray(PHOTO.convert("L"))),
    "webp": encoded(PHOTO, "WEBP"),
    "webp-lossless": encoded(PHOTO, "WEBP", lossless=True),
    "webp-alpha": encoded(PHOTO.convert("RGBA"), "WEBP"),
    "gif": encoded(PHOTO, "GIF", interlace=0),
    "gif-interlaced": encoded(PHOTO, "GIF", interlace=1),
    "bmp": encoded(PHOTO, "BMP"),
    "tiff": encoded(PHOTO, "TIFF"),
    "tiff-strips": tiff(SAMPLES, rows_a_strip=16),
    "tiff-deflate": tiff(SAMPLES, deflate=True),
    "tiff-deflate-strips": tiff(SAMPLES, deflate=True, rows_a_strip=16, order=">"),
}


@pytest.fixture(autouse=True, scope="module")
def decoder() -> None:
    prepare_process(LIMITS)


def decode(data: bytes, limits: ImageLimits = LIMITS) -> Picture:
    return decode_file(data, limits, least_short_side_px=594, admit=lambda pixels: None)


def difference(one: Picture, other: Picture) -> float:
    return float(np.abs(np.asarray(one.rgb).astype(int) - np.asarray(other.rgb).astype(int)).mean())


@pytest.mark.parametrize("kind", FILES)
def test_a_little_may_be_missing(kind: str) -> None:
    data = FILES[kind]
    whole = decode(data)
    assert not whole.truncated
    for length in (len(data) - 2, len(data) - 10, int(len(data) * 0.999), int(len(data) * 0.99)):
        cut = decode(data[:length])
        assert cut.truncated
        assert (cut.width_px, cut.height_px, cut.format) == (640, 480, whole.format)
        # What is missing is painted like its surroundings, not grey or black.
        assert difference(cut, whole) < 2
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("kind", FILES)
def test_much_may_not(kind: str) -> None:
    data = FILES[kind]
    for share in (0.9, 0.5):
        with pytest.raises(ImageUnreadable, match="least_rows_share"):
            decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "webp-lossless", "gif", "bmp", "tiff"])
def test_the_share_of_rows_decides(kind: str) -> None:
    data = FILES[kind]
    length = int(len(data) * 0.8)
    generous = decode(data[:length], replace(LIMITS, least_rows_share=0.6))
    rows = slice(100, 240) if kind != "bmp" else slice(240, 380)
    came, whole = (np.asarray(each.rgb).astype(int)[rows] for each in (generous, decode(data)))
    assert np.abs(came - whole).max() <= 2
    with pytest.raises(ImageUnreadable, match=r"(7|8)\d\.\d% of its rows came"):
        decode(data[:length], replace(LIMITS, least_rows_share=0.9))


@pytest.mark.parametrize("kind", FILES)
def test_no_gap_is_allowed_where_the_share_is_all(kind: str) -> None:
    with pytest.raises(ImageUnreadable):
        decode(FILES[kind][:-2], replace(LIMITS, least_rows_share=1.0))


def test_rows_decide_and_not_bytes() -> None:
    # All detail is at the top: the lower half takes next to no bytes.
    samples = SAMPLES.copy()
    samples[240:] = 200
    data = encoded(Image.fromarray(samples), "PNG")
    with pytest.raises(ImageUnreadable, match="of its rows came"):
        decode(data[: int(len(data) * 0.97)], replace(LIMITS, least_rows_share=0.99))


def test_what_follows_the_picture_does_not_count() -> None:
    for kind in ("jpeg", "png", "gif", "bmp", "tiff", "webp"):
        assert not decode(FILES[kind] + b"\0" * 100 + b"appended").truncated


def test_a_cut_file_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    cut = decode(encoded(PHOTO, "JPEG", exif=exif)[:-10])
    assert (cut.width_px, cut.height_px, cut.truncated) == (480, 640, True)


def test_large_cut_pictures_are_reduced_as_others_are() -> None:
    data = encoded(photo(random.Random(4), 1300, 1250), "JPEG")
    cut = decode_file(data[:-10], LIMITS, least_short_side_px=100, admit=lambda pixels: None)
    assert (cut.width_px, cut.height_px, cut.truncated) == (1300, 1250, True)
    assert min(cut.rgb.size) < 400


def test_limits_come_before_the_rows() -> None:
    asked: list[int] = []
    decode_file(FILES["webp"][:-2], LIMITS, least_short_side_px=594, admit=asked.append)
    decode_file(FILES["png"][:-2], LIMITS, least_short_side_px=594, admit=asked.append)
    assert asked == [640 * 480] * 2
