"""Pictures whose look and subject vary apart, made of real photographs.

Objects are product photographs on white, one of each article type. Their silhouettes get
the colours of other photographs, or their surfaces. So every object is there in every
look, and every look on every object: an encoder of subjects finds the object again, one
of looks the look.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.wire.vectors import F32
from tests.bench.embed import images
from tests.bench.encoders.embedding import Missing, photographs

OBJECTS = 24
PALETTES = 12
_SIDE_PX = 224
_COLOURS = 5
# A product on white: nearly white at the rim, and neither a speck nor all of the picture.
_WHITE = 240
_LEAST_OBJECT, _MOST_OBJECT = 0.15, 0.7
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Photographs of scikit-image whose surface is of one kind: name, and the part to take
# (left, top, right, bottom, in shares).
_SURFACES = (
    ("brick", (0.0, 0.0, 1.0, 1.0)),
    ("grass", (0.0, 0.0, 1.0, 1.0)),
    ("gravel", (0.0, 0.0, 1.0, 1.0)),
    ("chelsea", (0.3, 0.6, 0.8, 1.0)),
    ("immunohistochemistry", (0.0, 0.0, 1.0, 1.0)),
    ("hubble_deep_field", (0.0, 0.0, 1.0, 1.0)),
    ("page", (0.0, 0.0, 1.0, 1.0)),
    ("coins", (0.0, 0.1, 1.0, 1.0)),
    ("coffee", (0.0, 0.0, 0.3, 0.6)),
    ("moon", (0.0, 0.0, 1.0, 1.0)),
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Files with what each shows and how it looks."""

    files: list[bytes]
    objects: list[str]
    looks: list[str]


@dataclass(frozen=True, slots=True)
class _Product:
    name: str
    lightness: F32  # [S, S] of 0..1, from its darkest to its lightest part
    inside: npt.NDArray[np.bool_]  # [S, S]


def recoloured() -> Pictures:
    """Return every object in every palette, the light 15 % brighter or darker.

    Raises:
        Missing: the photographs are not on this machine.
    """
    generator = np.random.default_rng(22)
    files, objects, looks = [], [], []
    palettes = _palettes()
    for product in _products():
        for number, palette in enumerate(palettes):
            steps = np.linspace(0, 1, len(palette))
            channels = [np.interp(product.lightness, steps, palette[:, at]) for at in range(3)]
            picture = np.stack(channels, axis=2) * generator.uniform(0.85, 1.15)
            files.append(_on_white(picture, product.inside))
            objects.append(product.name)
            looks.append(f"palette {number}")
    return Pictures(files, objects, looks)


def resurfaced() -> Pictures:
    """Return every object with every surface, in a colour by chance.

    Surfaces are brought to one mean and one contrast, cut out anywhere, and scaled by 20 %
    up or down, so that neither colour nor position tells them apart.

    Raises:
        Missing: the photographs are not on this machine.
    """
    generator = np.random.default_rng(23)
    files, objects, looks = [], [], []
    surfaces = list(_surfaces())
    for product in _products():
        for name, surface in surfaces:
            side = round(_SIDE_PX / generator.uniform(0.8, 1.25))
            left = int(generator.integers(0, surface.width - side + 1))
            top = int(generator.integers(0, surface.height - side + 1))
            part = surface.crop((left, top, left + side, top + side))
            grey = np.asarray(part.resize((_SIDE_PX, _SIDE_PX)), np.float32)
            grey = 120 + 45 * (grey - grey.mean()) / max(float(grey.std()), 1.0)
            tint = generator.uniform(0.5, 1.3, 3)
            files.append(_on_white(grey[:, :, None] * tint, product.inside))
            objects.append(product.name)
            looks.append(name)
    return Pictures(files, objects, looks)


def _products() -> list[_Product]:
    """Return the first product on white of each of `OBJECTS` article types."""
    rows = images.labelled("fashion")
    if not rows:
        raise Missing("the labelled photographs of fashion are not on this machine")
    found: dict[str, _Product] = {}
    for file, _, kind in rows:
        if kind in found:
            continue
        with Image.open(file) as opened:
            pixels = np.asarray(opened.convert("RGB").resize((_SIDE_PX, _SIDE_PX)), np.float32)
        inside = pixels.min(axis=2) < _WHITE
        rim = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        if rim.mean() > 0.02 or not _LEAST_OBJECT <= inside.mean() <= _MOST_OBJECT:
            continue
        grey = pixels @ _LUMA
        dark, light = np.percentile(grey[inside], (2, 98))
        lightness = np.clip((grey - dark) / max(float(light - dark), 1.0), 0, 1)
        found[kind] = _Product(kind, lightness.astype(np.float32), inside)
        if len(found) == OBJECTS:
            break
    return list(found.values())


def _palettes() -> list[F32]:
    """Return palettes of photographs, float32 [5, 3], darkest first: those that differ most."""
    candidates = []
    for data in photographs("neardup_photos"):
        with Image.open(io.BytesIO(data)) as opened:
            few = opened.convert("RGB").resize((64, 64)).quantize(_COLOURS, kmeans=4)
        colours = np.array(few.getpalette(), np.float32).reshape(-1, 3)[:_COLOURS]
        if len(colours) == _COLOURS:
            candidates.append(colours[np.argsort(colours @ _LUMA)])
    chosen = [candidates[0]]
    while len(chosen) < PALETTES:
        apart = [min(float(np.abs(each - one).mean()) for one in chosen) for each in candidates]
        chosen.append(candidates[int(np.argmax(apart))])
    return chosen


def _surfaces() -> Iterator[tuple[str, Image.Image]]:
    """Yield grey photographs of surfaces, at least 300 px on each side."""
    library: Any = importlib.import_module("skimage.data")  # its functions have no types
    for name, (left, top, right, bottom) in _SURFACES:
        whole = Image.fromarray(getattr(library, name)()).convert("L")
        width, height = whole.size
        part = whole.crop(
            (int(left * width), int(top * height), int(right * width), int(bottom * height))
        )
        scale = max(1.0, 300 / min(part.size))
        yield name, part.resize((round(part.width * scale), round(part.height * scale)))


def _on_white(picture: npt.NDArray[Any], inside: npt.NDArray[np.bool_]) -> bytes:
    whole = np.where(inside[:, :, None], np.clip(picture, 0, 255), 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(whole).save(out, "JPEG", quality=85)
    return out.getvalue()
