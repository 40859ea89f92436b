"""Transparent pictures get a ground on which they are seen, the same one each time."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from embedder_service.decode.facts import is_blank, working_luminance
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from embedder_service.models import spec
from embedder_service.models.choice import define

LIMITS = ImageLimits(max_image_bytes=1 << 24, max_image_pixels=10_000_000, max_aspect_ratio=50)
WHITE, BLACK, GREY = (255, 255, 255), (0, 0, 0), (128, 128, 128)
FORMATS = {"PNG": {}, "WEBP": {"lossless": True}, "GIF": {}}


def logo(seed: int, colour: tuple[int, int, int], side_px: int = 120) -> Image.Image:
    """Return shapes of one colour on transparency."""
    chance = random.Random(seed)
    drawn = Image.new("RGBA", (side_px, side_px), (*colour, 0))
    pen = ImageDraw.Draw(drawn)
    for _ in range(4):
        left, top = (chance.randrange(side_px * 3 // 4) for _ in range(2))
        box = (left, top, left + side_px // 5, top + side_px // 4)
        (pen.ellipse if chance.random() < 0.5 else pen.rectangle)(box, fill=(*colour, 255))
    return drawn


def saved(picture: Image.Image, name: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, name, **FORMATS[name])
    return out.getvalue()


def seen(data: bytes, *, ground: str = "contrast", least_px: int | None = 594) -> Image.Image:
    decoded = decode_file(
        data, LIMITS, least_short_side_px=least_px, admit=lambda _: None, ground=ground
    )
    return decoded.rgb


def corner(picture: Image.Image) -> tuple[int, int, int]:
    red, green, blue = np.asarray(picture)[0, -1].tolist()
    return red, green, blue


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("colour", [WHITE, (250, 250, 248)])
def test_ten_white_logos_are_ten_pictures(name: str, colour: tuple[int, int, int]) -> None:
    shown = [seen(saved(logo(seed, colour), name)) for seed in range(10)]

    assert {corner(each) for each in shown} == {BLACK}
    assert len({each.tobytes() for each in shown}) == 10
    assert not any(is_blank(working_luminance(each)) for each in shown)


@pytest.mark.parametrize("colour", [BLACK, GREY, (200, 30, 30), (255, 255, 0), (225, 225, 225)])
def test_what_is_seen_on_white_stays_on_white(colour: tuple[int, int, int]) -> None:
    assert corner(seen(saved(logo(1, colour)))) == WHITE


def test_white_and_black_artwork_is_seen_on_grey() -> None:
    drawn = logo(2, WHITE)
    ImageDraw.Draw(drawn).rectangle((100, 100, 110, 118), fill=(0, 0, 0, 255))

    shown = seen(saved(drawn))

    assert corner(shown) == GREY
    assert {WHITE, BLACK} <= {(r, g, b) for _, (r, g, b) in shown.getcolors(99)}  # type: ignore[misc, union-attr]


def test_a_soft_shadow_shows_what_is_white() -> None:
    drawn = Image.new("RGBA", (120, 120), (0, 0, 0, 0))
    drawn.paste((0, 0, 0, 160), (20, 20, 110, 110))
    drawn.paste((255, 255, 255, 255), (30, 30, 90, 90))

    assert corner(seen(saved(drawn))) == WHITE


@pytest.mark.parametrize("alpha", [0, 255])
def test_nothing_and_everything_stand_on_white(alpha: int) -> None:
    shown = seen(saved(Image.new("RGBA", (80, 60), (255, 255, 255, alpha))))

    assert corner(shown) == WHITE


def test_large_ones_and_those_as_stored_get_the_same_ground() -> None:
    large = saved(logo(3, WHITE, side_px=2_000))

    assert corner(seen(large)) == corner(seen(large, least_px=None)) == BLACK
    assert seen(large).tobytes() == seen(large).tobytes()


def test_earlier_vectors_are_made_with_an_option() -> None:
    now, then = (define(spec.parse(f"efficientnet-lite0{option}"), "f32")
                 for option in ("", "@ground:white"))  # fmt: skip

    assert now.fingerprint != then.fingerprint
    # As it was before a ground was chosen.
    assert then.fingerprint == "dafe35d25f760e3f499937fef635f67713e13e7dea000e30a6ce4f9a6a364740"
    assert then.name == "efficientnet-lite0@ground:white"
    white = seen(saved(logo(1, WHITE)), ground=then.preprocess.ground)
    assert is_blank(working_luminance(white))
