"""HEIC and JPEG XL: decoded with an extra, refused with its name without."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedder_service.decode.extras import HEIF, JXL, Extra, extra_of, installed_formats
from embedder_service.decode.jxl_size import size_px
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import Picture, decode_file
from lookalike.wire.errors import ImageTooLarge, ImageUnreadable
from tests.hostile.extras import heif, jxl, without_box
from tests.hostile.files import photo

LIMITS = ImageLimits(max_image_bytes=1 << 20, max_image_pixels=100_000, max_aspect_ratio=50)
MAKERS = {"HEIF": heif, "JXL": jxl}
CORNERS = Image.new("RGB", (60, 40), (0, 0, 255))
CORNERS.paste((255, 0, 0), (0, 0, 30, 20))


def decode(data: bytes) -> tuple[Picture, list[int]]:
    asked: list[int] = []
    return decode_file(data, LIMITS, least_short_side_px=594, admit=asked.append), asked


def turned(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_it_is_read(name: str, mode: str) -> None:
    original = photo(random.Random(1), 90, 70)
    picture, asked = decode(MAKERS[name](original.convert(mode)))
    assert (picture.width_px, picture.height_px, picture.format) == (90, 70, name)
    assert asked == [90 * 70]
    assert len(picture.digest()) == 32
    expected = np.asarray(original.convert(mode).convert("RGB")).astype(int)
    assert abs(np.asarray(picture.rgb).astype(int) - expected).mean() < 16


@pytest.mark.parametrize("name", MAKERS)
def test_transparency_shows_white(name: str) -> None:
    picture, _ = decode(MAKERS[name](Image.new("RGBA", (64, 64), (0, 0, 0, 0))))
    assert np.asarray(picture.rgb).min() > 250


def test_a_heic_is_turned_once() -> None:
    # Its encoder makes the file's own orientation from EXIF's, and leaves that where it is.
    picture, _ = decode(heif(CORNERS, exif=turned(6)))
    assert (picture.width_px, picture.height_px) == (40, 60)
    _assert_red_at(picture, right=True, bottom=False)


def test_a_jpeg_xl_is_turned_by_its_own_orientation_alone() -> None:
    picture, _ = decode(jxl(CORNERS, exif=turned(6)))
    assert (picture.width_px, picture.height_px) == (60, 40)
    _assert_red_at(picture, right=False, bottom=False)


def test_a_jpeg_in_jpeg_xl_is_turned_once(tmp_path: Path) -> None:
    CORNERS.save(tmp_path / "one.jpg", exif=turned(6), quality=95)
    with Image.open(tmp_path / "one.jpg") as image:
        image.save(tmp_path / "one.jxl", lossless_jpeg=True)
    packed = (tmp_path / "one.jxl").read_bytes()
    # Without what restores the JPEG the codestream is a picture with its own orientation.
    for data in (packed, without_box(packed, b"jbrd")):
        picture, _ = decode(data)
        assert (picture.width_px, picture.height_px) == (40, 60)
        _assert_red_at(picture, right=True, bottom=False)


def _assert_red_at(picture: Picture, *, right: bool, bottom: bool) -> None:
    pixels = np.asarray(picture.rgb).astype(int)
    red = pixels[..., 0] > pixels[..., 2]
    rows, columns = np.nonzero(red)
    assert 0.2 < red.mean() < 0.3
    assert (columns.mean() > picture.rgb.width / 2) == right
    assert (rows.mean() > picture.rgb.height / 2) == bottom


@pytest.mark.parametrize("name", MAKERS)
def test_the_size_is_checked_before_pixels_are_decoded(name: str) -> None:
    asked: list[int] = []
    for size, says in (((400, 300), "max_image_pixels"), ((1280, 16), "max_aspect_ratio")):
        data = MAKERS[name](Image.new("RGB", size))
        with pytest.raises(ImageTooLarge, match=says):
            decode_file(data, LIMITS, least_short_side_px=594, admit=asked.append)
    assert asked == []


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.99])
def test_one_without_its_end_is_refused(name: str, share: float) -> None:
    data = MAKERS[name](photo(random.Random(1), 90, 70))
    with pytest.raises(ImageUnreadable):
        decode(data[: max(int(len(data) * share), 32)])


def test_a_missing_extra_is_named() -> None:
    absent = Extra("ABSENT", "a HEIC picture", "heif", "no_such_decoder", lambda module: None)
    assert not absent.installed
    with pytest.raises(ImageUnreadable, match=r"a HEIC picture.* install lookalike\[heif\]"):
        absent.load()


def test_extras_that_are_installed_are_listed() -> None:
    assert installed_formats() == ("HEIF", "JXL", "CAMERA_RAW")


def test_formats_are_told_by_their_first_bytes() -> None:
    def box(*brands: bytes) -> bytes:
        body = brands[0] + bytes(4) + b"".join(brands[1:])
        return struct.pack(">I", len(body) + 8) + b"ftyp" + body + bytes(20)

    assert extra_of(box(b"mif1", b"heic")) is HEIF
    assert extra_of(box(b"heix")) is HEIF
    assert extra_of(box(b"mif1", b"avif")) is None
    assert extra_of(box(b"isom")) is None
    assert extra_of(b"\xff\x0a\x00") is JXL
    assert extra_of(b"\xff\xd8\xff") is None


@pytest.mark.parametrize(
    "size", [(8, 8), (64, 64), (1, 1), (300, 200), (160, 90), (1920, 1080), (3000, 11), (9000, 1)]
)
@pytest.mark.parametrize("container", [False, True])
def test_the_header_of_jpeg_xl_tells_the_size(size: tuple[int, int], container: bool) -> None:
    data = jxl(Image.new("L", size), use_container=container, effort=1)
    assert (data[:2] == b"\xff\x0a") != container
    assert size_px(data) == size


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\x0a", b"\xff\x0a\xff", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\1jxlc", b"\0" * 40,
     b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x02jxlc\xff\x0a\0\0\0\0\0\0\0\0\0\0"],
)  # fmt: skip
def test_a_header_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"codestream|cut short"):
        size_px(data)
