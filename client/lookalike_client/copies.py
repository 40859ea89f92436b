"""Copies of pictures, as they come about when people pass them on."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageEnhance, ImageOps

_Change: TypeAlias = Callable[[Image.Image], Image.Image]

_QUALITY = 90
_RECOMPRESSED_QUALITY = 40
# Sides kept by a crop around the middle.
_CROP = 0.9
_EDIT = 1.15


def copies_of(path: Path) -> dict[str, bytes]:
    """Return JPEG copies of a picture by what was done: recompressed, halved, cropped, edited.

    Raises:
        OSError: the file cannot be read, or is no picture.
        Image.DecompressionBombError: it is too large.
    """
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    return {
        "recompressed": _jpeg(picture, _RECOMPRESSED_QUALITY),
        **{name: _jpeg(change(picture), _QUALITY) for name, change in _CHANGES.items()},
    }


def _halved(picture: Image.Image) -> Image.Image:
    width, height = (max(1, side // 2) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    left, top = width * (1 - _CROP) / 2, height * (1 - _CROP) / 2
    return picture.crop((round(left), round(top), round(width - left), round(height - top)))


def _edited(picture: Image.Image) -> Image.Image:
    brighter = ImageEnhance.Brightness(picture).enhance(_EDIT)
    return ImageEnhance.Contrast(brighter).enhance(_EDIT)


_CHANGES: Mapping[str, _Change] = {"halved": _halved, "cropped": _cropped, "edited": _edited}


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality)
    return target.getvalue()
