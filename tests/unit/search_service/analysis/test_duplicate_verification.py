"""Copies are told from pictures that are only alike by their small grey pictures."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from embedder_service.decode.facts import working_luminance
from search_service.analysis.duplicates.verification import Findings, compared
from tests.bench.analysis.copies import COPIES, other_crops, page_of_text, screenshot
from tests.hostile.files import photo

PHOTOS = [photo(random.Random(n), 480, 360) for n in range(6)]


def grey(picture: Image.Image) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    small = working_luminance(picture).resize((64, 64), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def found(pairs: list[tuple[Image.Image, Image.Image]]) -> Findings:
    proportions = [(other.width / other.height) / (one.width / one.height) for one, other in pairs]
    return compared(
        np.stack([grey(one) for one, _ in pairs]),
        np.stack([grey(other) for _, other in pairs]),
        np.array(proportions),
    )


@pytest.mark.parametrize("name", [name for name in COPIES if name != "watermarked"])
def test_what_was_made_of_a_picture_is_a_copy(name: str) -> None:
    rng = np.random.default_rng(3)
    pairs = [(picture, COPIES[name](picture, rng)) for picture in PHOTOS]
    pairs += [(other, one) for one, other in pairs]
    assert found(pairs).copies.all()


def test_a_mark_in_a_corner_leaves_a_copy() -> None:
    marked = []
    for picture in PHOTOS:
        other = picture.copy()
        other.paste((250, 250, 250), (360, 320, 470, 340))
        marked.append((picture, other))
    assert found(marked).copies.all()


def test_other_pictures_are_no_copies() -> None:
    pairs = [(one, other) for one in PHOTOS for other in PHOTOS if one is not other]
    assert not found(pairs).copies.any()


def test_parts_of_one_picture_at_other_places_are_no_copies() -> None:
    rng = np.random.default_rng(4)
    pairs = [other_crops(picture, rng) for picture in PHOTOS for _ in range(4)]
    assert not found(pairs).copies.any()


def test_pages_of_text_and_screens_of_one_program_are_no_copies() -> None:
    rng = np.random.default_rng(5)
    pages = [(page_of_text(rng), page_of_text(rng)) for _ in range(6)]
    screens = [(screenshot(rng), screenshot(rng)) for _ in range(6)]
    assert not found(pages + screens).copies.any()


def test_a_page_of_text_saved_again_is_a_copy() -> None:
    rng = np.random.default_rng(6)
    pages = [page_of_text(rng) for _ in range(4)]
    pairs = [
        (page, COPIES[name](page, rng)) for page in pages for name in ("recompressed", "resized")
    ]
    assert found(pairs).copies.all()


def test_nothing_is_said_of_pictures_that_show_nothing() -> None:
    plain = Image.new("RGB", (300, 300), "white")
    assert not found([(plain, plain), (plain, PHOTOS[0])]).copies.any()


def test_faint_pictures_are_compared_too() -> None:
    faint = [Image.fromarray((np.asarray(each) // 8 + 200).astype(np.uint8)) for each in PHOTOS]
    rng = np.random.default_rng(7)
    assert found([(each, COPIES["recompressed"](each, rng)) for each in faint]).copies.all()
    assert not found(list(pairwise(faint))).copies.any()
