"""The pictures that the measurements use: real photographs at 260 px."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from embedder_service.preprocess import U8
from tests.integration.embedder_process import ROOT

DATA = ROOT.parent / "shared" / "data"
SIDE_PX = 260
COUNT = 64
_PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "retina", "cat")
_JPEG_QUALITY = 90


def squares() -> U8:
    """Return uint8 [64, 260, 260, 3]."""
    return np.stack([np.asarray(_square(photo)) for photo in _photos()])


def jpegs() -> list[bytes]:
    """Return 64 JPEG files whose short side is 260 px."""
    files = []
    for photo in _photos():
        scale = SIDE_PX / min(photo.size)
        small = photo.resize((round(photo.width * scale), round(photo.height * scale)))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=_JPEG_QUALITY)
        files.append(out.getvalue())
    return files


def _square(photo: Image.Image) -> Image.Image:
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    return photo.resize((SIDE_PX, SIDE_PX), box=(left, top, left + side, top + side))


def _photos() -> list[Image.Image]:
    """Return 64 photographs: from the data folder, else those of scikit-image, mirrored."""
    folder = DATA / "neardup_photos" / "images"
    if folder.is_dir():
        return [Image.open(path).convert("RGB") for path in sorted(folder.iterdir())[:COUNT]]
    library: Any = importlib.import_module("skimage.data")  # its functions have no types
    plain = [Image.fromarray(getattr(library, name)()).convert("RGB") for name in _PHOTOS]
    turned = [photo.transpose(turn) for turn in Image.Transpose for photo in plain]
    return (plain + turned + plain)[:COUNT]


def labelled(name: str) -> list[tuple[Path, str, str]]:
    """Return (file, label, sublabel) of a data set; empty where it is absent."""
    folder = DATA / name
    if not (folder / "labels.csv").is_file():
        return []
    lines = (folder / "labels.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines if line]
    return [(folder / "images" / file, label, sub) for file, label, sub in rows]
