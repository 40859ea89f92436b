"""Raw files of cameras: the camera's own picture, or what its sensor saw."""

from __future__ import annotations

import random
import struct
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from embedder_service.decode import camera_raw
from embedder_service.decode.extras import CAMERA_RAW, Extra
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import Picture, decode_file
from lookalike.wire.errors import ImageTooLarge, ImageUnreadable
from tests.hostile.files import photo
from tests.hostile.raw import dng, sensor

LIMITS = ImageLimits(max_image_bytes=1 << 24, max_image_pixels=1_000_000, max_aspect_ratio=50)
REDDISH = sensor(96, 64, (60_000, 9_000, 3_000))


def decode(data: bytes, limits: ImageLimits = LIMITS) -> tuple[Picture, list[int]]:
    asked: list[int] = []
    return decode_file(data, limits, least_short_side_px=594, admit=asked.append), asked


@pytest.fixture(autouse=True)
def hushed() -> Iterator[None]:
    """As in the processes that decode: what is odd about a file is answered, or nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_the_cameras_own_picture_is_taken_where_it_is_large_enough() -> None:
    own = photo(random.Random(3), 90, 70)

    picture, asked = decode(dng(REDDISH, own))

    assert (picture.width_px, picture.height_px, picture.format) == (90, 70, CAMERA_RAW.format)
    assert asked == [90 * 70]
    assert len(picture.digest()) == 32
    assert abs(np.asarray(picture.rgb).astype(int) - np.asarray(own)).mean() < 8


def test_it_is_turned_as_the_raw_file_says() -> None:
    left_red = Image.new("RGB", (90, 70), (0, 0, 255))
    left_red.paste((255, 0, 0), (0, 0, 45, 70))

    picture, _ = decode(dng(REDDISH, left_red, orientation=6))

    pixels = np.asarray(picture.rgb).astype(int)
    assert (picture.width_px, picture.height_px) == (70, 90)
    assert (pixels[:30, :, 0] > 200).all()
    assert (pixels[-30:, :, 2] > 200).all()


@pytest.mark.parametrize("preview", [None, Image.new("RGB", (32, 24), (0, 0, 255))])
@pytest.mark.parametrize(("orientation", "size"), [(1, (48, 32)), (6, (32, 48))])
def test_the_sensors_values_are_developed_otherwise(
    preview: Image.Image | None, orientation: int, size: tuple[int, int]
) -> None:
    picture, asked = decode(dng(REDDISH, preview, orientation=orientation))

    assert (picture.width_px, picture.height_px) == size
    assert asked == [96 * 64]
    red, green, blue = np.asarray(picture.rgb).reshape(-1, 3).mean(axis=0)
    assert red > 2 * max(green, blue)
    assert len(picture.digest()) == 32


def test_limits_are_checked_before_anything_is_decoded() -> None:
    small = ImageLimits(max_image_bytes=1 << 24, max_image_pixels=3_000, max_aspect_ratio=50)
    asked: list[int] = []
    for data in (dng(REDDISH, photo(random.Random(3), 90, 70)), dng(REDDISH, None)):
        with pytest.raises(ImageTooLarge, match="max_image_pixels"):
            decode_file(data, small, least_short_side_px=594, admit=asked.append)
    assert asked == []


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9])
def test_one_that_is_cut_short_is_refused(share: float) -> None:
    whole = dng(REDDISH, None)
    with pytest.raises(ImageUnreadable):
        decode(whole[: max(12, int(len(whole) * share))])


def test_damage_is_refused_or_gives_some_picture() -> None:
    whole = bytearray(dng(REDDISH, photo(random.Random(3), 90, 70)))
    chance = random.Random(9)
    ended: set[str] = set()
    for _ in range(300):
        hurt = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            hurt[chance.randrange(600)] ^= 1 << chance.randrange(8)
        try:
            decode(bytes(hurt))
            ended.add("read")
        except (ImageUnreadable, ImageTooLarge):
            ended.add("refused")
    assert ended == {"read", "refused"}


def test_what_reads_them_is_named_where_it_is_missing() -> None:
    absent = Extra("CAMERA_RAW", "a raw file", "raw", "no_such_decoder", lambda module: None)
    assert not absent.installed
    with pytest.raises(ImageUnreadable, match=r"\(DNG\).*install lookalike\[raw\].*export it"):
        camera_raw.read(dng(REDDISH, None), "a raw file (DNG)", LIMITS, lambda _: None, absent)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (b"NIKON CORPORATION\0", "a raw file (Nikon)"),
        (b"x\x1b[2J\ny\0", "a raw file"),
        (b"A" * 100_000, "a raw file"),
    ],
)
def test_the_makers_name_is_told_where_it_is_one(make: bytes, kind: str) -> None:
    entries = struct.pack("<HHII", 259, 3, 1, 34713) + struct.pack("<HHII", 271, 2, len(make), 38)
    data = b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4) + make
    assert data.index(make) == 38
    assert camera_raw.kind_of(data) == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (dng(REDDISH, None), "a raw file (DNG)"),
        (b"II*\0\x10\0\0\0CR\2\0", "a Canon raw file (CR2)"),
        (b"FUJIFILMCCD-RAW 0201", "a Fujifilm raw file (RAF)"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a Canon raw file (CR3)"),
        (b"\xff\xd8\xff", ""),
        (b"II*\0\x08\0\0\0", ""),
    ],
)
def test_raw_files_are_told_by_their_bytes(data: bytes, kind: str) -> None:
    assert camera_raw.kind_of(data) == kind
