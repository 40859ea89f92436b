"""Encoders of looks: colours and surfaces, not subjects; the same in every runtime."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from embedder_service.models import spec, style
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelError
from embedder_service.models.palette import bins_in_gamut
from embedder_service.preprocess import U8
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.choice import load_runtime
from lookalike.wire.vectors import F32

PALETTE = define(spec.parse("style:palette"), "f32")
TEXTURE = define(spec.parse("style:texture"), "f32")
RED, DARKER_RED, BLUE, YELLOW = (200, 30, 40), (175, 25, 35), (30, 60, 200), (230, 210, 40)


def vectors_of(name: str, squares: U8, device: str = "torch-cpu") -> F32:
    definition = define(spec.parse(name), "f32")
    runtime = load_runtime(definition, device, threads=1, max_batch_images=8, cache_dir=None)
    found = runtime.infer(squares)
    assert found.shape == (len(squares), definition.dimension)
    return unit_vectors(found, len(squares))


def halves(left: tuple[int, int, int], right: tuple[int, int, int], *, turned: bool) -> U8:
    square = np.empty((96, 96, 3), np.uint8)
    square[:, :48], square[:, 48:] = left, right
    return np.ascontiguousarray(square.transpose(1, 0, 2)) if turned else square


def photograph(name: str, side_px: int) -> Image.Image:
    from skimage import data

    return Image.fromarray(getattr(data, name)()).convert("RGB").resize((side_px, side_px))


def test_a_palette_is_colours_in_shares_wherever_they_are() -> None:
    squares = np.stack([
        halves(RED, YELLOW, turned=False), halves(YELLOW, RED, turned=True),
        halves(DARKER_RED, YELLOW, turned=False), halves(RED, BLUE, turned=False),
        halves(BLUE, BLUE, turned=False),
    ])  # fmt: skip
    same, near, half, none = (vectors_of("style:palette", squares) @ vectors_of(
        "style:palette", squares
    )[0])[1:]  # fmt: skip
    assert same > 0.9999
    assert 0.9 < near < same
    assert 0.4 < half < 0.6
    assert none == pytest.approx(0, abs=1e-6)


def test_a_texture_is_a_surface_in_any_colour_and_at_any_place() -> None:
    squares = []
    for name in ("grass", "brick", "gravel"):
        surface = photograph(name, 520)
        for left in (0, 260):
            part = np.asarray(surface.crop((left, 130, left + 260, 390)), np.float32)
            tint = (0.7, 0.9, 0.5) if left else (0.9, 0.6, 0.8)
            squares.append((part * tint).astype(np.uint8))
    vectors = vectors_of("style:texture", np.stack(squares))
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    assert [int(nearest) // 2 for nearest in alike.argmax(axis=1)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("name", ["style:palette", "style:texture"])
def test_every_runtime_gives_the_same_vectors(name: str) -> None:
    side_px = define(spec.parse(name), "f32").preprocess.size_px
    squares = np.stack([
        np.asarray(photograph("chelsea", side_px)), np.asarray(photograph("coffee", side_px)),
        np.zeros((side_px, side_px, 3), np.uint8), np.full((side_px, side_px, 3), 255, np.uint8),
    ])  # fmt: skip
    by_torch = vectors_of(name, squares)
    np.testing.assert_allclose(vectors_of(name, squares, "openvino"), by_torch, atol=1e-4)
    assert np.isfinite(by_torch).all()


def test_each_has_a_fingerprint_of_its_own() -> None:
    names = ["style:palette", "style:palette@crop", "style:texture", "style:texture@squash"]
    marks = {define(spec.parse(name), "f32").fingerprint for name in names}
    assert len(marks) == len(names)
    assert define(spec.parse("style:palette@squash"), "f32").preprocess == PALETTE.preprocess
    assert define(spec.parse("style:texture@crop"), "f32").preprocess == TEXTURE.preprocess
    assert spec.parse("style:texture@squash").text == "style:texture@squash"


def test_the_bins_are_those_that_version_1_has() -> None:
    bins = bins_in_gamut()
    assert len(bins) == PALETTE.dimension
    digest = hashlib.sha256(bins.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "d8e901381d4d7cff"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("style:colour", f"style:{' or style:'.join(style.NAMES)}"),
        ("style:palette=weights.pth", "comes with its own"),
        ("style:palette@pad", "@pad is not for style:"),
        ("style:texture@gem", "@gem is not for style:"),
        ("style:texture@best", "write @crop, @squash, @ground:white, @projection:FILE"),
    ],
)
def test_what_cannot_be_is_refused(text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        spec.parse(text)
