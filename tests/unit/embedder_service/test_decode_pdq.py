"""PDQ hashes: those of the authors' own code, so that lists of known images can be used."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from embedder_service.decode.child import _facts_of
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.pdq import pdq_hash
from embedder_service.decode.picture import decode_file

data: Any = pytest.importorskip("skimage.data")

LIMITS = ImageLimits(max_image_bytes=1 << 26, max_image_pixels=40_000_000, max_aspect_ratio=50)

# What pdqhash 0.2.8 says of photographs of scikit-image: hash and quality.
REFERENCE = {
    "astronaut": ("2d6b1af3a956c529e79ca3d2526fa834d4196c81cedd04de0a26b855fc99b724", 100),
    "camera": ("dc9c9d3b746978f888f40ce6e5c3f70f7266623e8d989cb99f21f2010841e1c7", 100),
    "cell": ("32966e6bad6952d352e92d56add6526993292c96d36955692a96aa965569512b", 100),
    "chelsea": ("5feb5321f01da156898e2bf629a5d3438412cdbd23f48942464526315db33ffd", 100),
    "clock": ("26cc3ccc933373334c34d778acc94cccb326f3394c932666934cd99d25337674", 34),
    "coffee": ("8c629e779a663698b9a33866c026726c21a679f61eb6e1f8c79ba7e23c8299e0", 100),
    "hubble_deep_field": ("1c6715e46266634f72d42df2324ad397e70e86be9c665c59a42ec19c3369b919", 100),
    "microaneurysms": ("537ebc9160a955ff3f50f6b38480437ee77485036f95ac0b7d4a7397880241f8", 82),
    "moon": ("131645cde366d981e1e371b264d8b25b9e4d13771d8c4f366d946ca57133d0c9", 83),
    "retina": ("83d22b5802d238191b87b1f8bf1ad487fc0f55f8405adc011fafa8f4ebfc2a59", 100),
}


def photograph(name: str) -> Image.Image:
    return Image.fromarray(getattr(data, name)()).convert("RGB")


def bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def png(picture: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", **options)
    return out.getvalue()


def facts_of(file: bytes) -> dict[str, Any]:
    seen = decode_file(file, LIMITS, least_short_side_px=594, admit=lambda pixels: None)
    return _facts_of(seen, file, 0)


@pytest.mark.parametrize("name", REFERENCE)
def test_a_photograph_has_the_hash_and_quality_that_the_authors_code_gives(name: str) -> None:
    picture = photograph(name)
    hash, quality = pdq_hash(picture, *picture.size)
    assert (hash.hex(), quality) == REFERENCE[name]


def test_what_decoding_reduced_keeps_its_hash_but_for_a_few_bits() -> None:
    """The authors call an implementation right that is within 10 bits (pdq/README.md)."""
    reference, quality = REFERENCE["retina"]
    told = facts_of(png(photograph("retina")))  # 1,411 px, halved
    assert bits_apart(bytes.fromhex(told["pdq"]), bytes.fromhex(reference)) <= 6
    assert told["pdq_quality"] == quality


def test_a_colour_profile_changes_nothing_of_the_hash() -> None:
    """The programs that make lists of known images apply none."""
    plain = png(photograph("coffee"))
    profiled = png(photograph("coffee"), icc_profile=_swapped_profile())
    assert decoded(plain).tobytes() != decoded(profiled).tobytes()  # it was applied
    assert facts_of(profiled)["pdq"] == facts_of(plain)["pdq"] == REFERENCE["coffee"][0]


def decoded(file: bytes) -> Image.Image:
    return decode_file(file, LIMITS, least_short_side_px=594, admit=lambda pixels: None).rgb


def _swapped_profile() -> bytes:
    """Return an sRGB profile whose red and green have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    # By its name it would be taken for sRGB.
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "tEST".encode("utf-16-be"))


def test_a_picture_of_one_tone_has_no_quality() -> None:
    _, quality = pdq_hash(Image.new("RGB", (300, 200), (90, 90, 90)), 300, 200)
    assert quality == 0


@pytest.mark.parametrize("size", [(4, 300), (300, 4), (1, 1)])
def test_a_picture_of_few_pixels_has_a_hash_of_zeros(size: tuple[int, int]) -> None:
    assert pdq_hash(Image.new("RGB", size, (9, 8, 7)), *size) == (bytes(32), 0)


@pytest.mark.parametrize("size", [(5, 5), (64, 64), (63, 65), (6, 1_000), (129, 128)])
def test_small_and_odd_sizes_are_hashed(size: tuple[int, int]) -> None:
    """Whatever the size, the blur only averages: a constant stays what it is."""
    noise = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    hash, quality = pdq_hash(Image.fromarray(noise), *size)
    assert len(hash) == 32
    assert any(hash)
    assert 0 <= quality <= 100
    _, flat = pdq_hash(Image.new("RGB", size, (200, 10, 77)), *size)
    assert flat == 0
