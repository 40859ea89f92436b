"""Every format and mode comes out upright, in sRGB, on white."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter

from embedder_service.decode.facts import perceptual_hash, sharpness, thumbnail, working_luminance
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import Picture, decode_file, from_raw
from lookalike.wire.errors import ImageTooLarge, ImageUnreadable
from tests.hostile.files import FORMATS, ODD_MODES, encoded, odd_mode, photo, png_file

LIMITS = ImageLimits(max_image_bytes=1 << 20, max_image_pixels=1_000_000, max_aspect_ratio=50)


def decode(data: bytes, limits: ImageLimits = LIMITS, least: int = 594) -> Picture:
    return decode_file(data, limits, least_short_side_px=least, admit=lambda pixels: None)


def colour(picture: Picture) -> list[int]:
    return [round(float(v)) for v in np.asarray(picture.rgb).reshape(-1, 3).mean(axis=0)]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read(name: str) -> None:
    original = photo(random.Random(1), 90, 70)
    picture = decode(encoded(original, name))
    assert (picture.width_px, picture.height_px, picture.format) == (90, 70, name)
    difference = np.asarray(picture.rgb).astype(int) - np.asarray(original).astype(int)
    assert abs(difference).mean() < 16


@pytest.mark.parametrize(("mode", "name"), ODD_MODES)
def test_every_mode_becomes_rgb(mode: str, name: str) -> None:
    picture = decode(odd_mode(random.Random(2), mode, name))
    assert picture.rgb.mode == "RGB"
    assert picture.rgb.size == (64, 48)
    assert np.asarray(picture.rgb).std() > 5


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "L", "CMYK", "LAB"])
def test_wide_modes_keep_the_picture(mode: str) -> None:
    plain = photo(random.Random(3), 64, 48)
    grey = np.asarray(decode(odd_mode(random.Random(3), mode, "TIFF")).rgb.convert("L"))
    correlation = np.corrcoef(grey.ravel(), np.asarray(plain.convert("L")).ravel())[0, 1]
    assert correlation > 0.98


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    upright = Image.new("RGB", (60, 40), (0, 0, 255))
    upright.paste((255, 0, 0), (0, 0, 30, 20))
    turn = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encoded(stored, "PNG", exif=exif))
    assert (picture.width_px, picture.height_px) == (60, 40)
    np.testing.assert_array_equal(np.asarray(picture.rgb), np.asarray(upright))


def test_transparency_shows_white() -> None:
    assert colour(decode(encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG"))) == [255] * 3
    half = Image.new("RGBA", (9, 9), (0, 0, 0, 128))
    assert colour(decode(encoded(half, "PNG"))) == [127] * 3
    palette = Image.new("P", (9, 9), 3)
    assert colour(decode(encoded(palette, "GIF", transparency=3))) == [255] * 3
    grey = Image.new("L", (9, 9), 7)
    assert colour(decode(encoded(grey, "PNG", transparency=7))) == [255] * 3


def test_only_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (20, 20), shade) for shade in ((200, 0, 0), (0, 200, 0))]
    for name in ("GIF", "WEBP", "TIFF", "PNG"):
        data = encoded(frames[0], name, save_all=True, append_images=frames[1:])
        red, green, _ = colour(decode(data))
        assert red > 150, name
        assert green < 50, name


def test_an_embedded_profile_is_applied() -> None:
    # Red and blue swapped in a profile's primaries swap them in the picture.
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = {tag: swapped.index(tag) for tag in (b"rXYZ", b"bXYZ")}
    red, blue = (bytes(swapped[at[tag] + 4 : at[tag] + 12]) for tag in (b"rXYZ", b"bXYZ"))
    swapped[at[b"rXYZ"] + 4 : at[b"rXYZ"] + 12] = blue
    swapped[at[b"bXYZ"] + 4 : at[b"bXYZ"] + 12] = red
    name = swapped.find("sRGB".encode("utf-16-be"))
    if name >= 0:  # else the profile is taken for sRGB by its name
        swapped[name : name + 8] = "tEST".encode("utf-16-be")
    picture = Image.new("RGB", (9, 9), (250, 10, 10))
    red_value, _, blue_value = colour(decode(encoded(picture, "PNG", icc_profile=bytes(swapped))))
    assert blue_value > 200
    assert red_value < 60


def test_a_broken_profile_is_ignored() -> None:
    picture = Image.new("RGB", (9, 9), (250, 10, 10))
    assert colour(decode(encoded(picture, "PNG", icc_profile=b"nonsense" * 30))) == [250, 10, 10]


def test_large_pictures_are_reduced_but_keep_their_size_in_the_facts() -> None:
    large = photo(random.Random(4), 900, 800)
    for name in ("JPEG", "PNG", "GIF"):
        picture = decode(encoded(large, name), least=100)
        assert (picture.width_px, picture.height_px) == (900, 800)
        assert 100 <= min(picture.rgb.size) < 400


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"this is text, not a picture", ImageUnreadable),
        (encoded(photo(random.Random(5), 50, 50), "JPEG")[:600], ImageUnreadable),
        (encoded(photo(random.Random(5), 50, 50), "PNG")[:-400], ImageUnreadable),
        (encoded(Image.new("L", (1001, 1000)), "PNG"), ImageTooLarge),
        (encoded(Image.new("L", (600, 11)), "PNG"), ImageTooLarge),
        (png_file(60000, 60000, b""), ImageTooLarge),
        (encoded(Image.new("RGB", (9, 9)), "PPM"), ImageUnreadable),
    ],
)
def test_what_cannot_be_decoded_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode(data)


def test_leave_is_asked_before_pixels_are_decoded() -> None:
    asked: list[int] = []
    data = encoded(Image.new("L", (30, 20)), "PNG")
    decode_file(data, LIMITS, least_short_side_px=594, admit=asked.append)
    assert asked == [600]


def test_raw_pixels_are_taken_as_they_are() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    picture = from_raw(pixels.tobytes(), 5, 4)
    np.testing.assert_array_equal(np.asarray(picture.rgb), pixels)


def test_the_perceptual_hash_survives_recompression_and_tells_pictures_apart() -> None:
    one, other = (photo(random.Random(seed), 300, 200) for seed in (1, 2))
    again = Image.open(io.BytesIO(encoded(one.resize((150, 100)), "JPEG", quality=50)))
    first, second, third = (perceptual_hash(working_luminance(p)) for p in (one, again, other))
    assert (first ^ second).bit_count() <= 6
    assert (first ^ third).bit_count() >= 16


def test_blur_lowers_sharpness() -> None:
    sharp = photo(random.Random(1), 300, 200)
    blurred = sharp.filter(ImageFilter.GaussianBlur(3))
    assert sharpness(working_luminance(blurred)) < sharpness(working_luminance(sharp)) / 4
    assert sharpness(working_luminance(Image.new("RGB", (1, 1)))) == 0


def test_a_thumbnail_is_a_small_webp() -> None:
    small = Image.open(io.BytesIO(thumbnail(photo(random.Random(1), 300, 200), 96)))
    assert (small.format, small.size) == ("WEBP", (96, 64))


def test_the_worst_noise_has_a_thumbnail_that_fits() -> None:
    pixels = random.Random(1).randbytes(400 * 300 * 3)
    for side_px in (32, 256, 10_000):
        webp = thumbnail(Image.frombytes("RGB", (400, 300), pixels), side_px)
        assert 0 < len(webp) <= min(32 * side_px, 96 * 1024)
        assert Image.open(io.BytesIO(webp)).width <= side_px
