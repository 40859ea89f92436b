"""Folders of photographs with planted copies, and which files are of one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bench.analysis.copies import COPIES, as_jpeg, centre_cropped

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def pictures_of(name: str) -> list[Path]:
    """Return the pictures of one set of `shared/data`, by name."""
    return sorted((DATA / name / "images").iterdir())


def plant_simple(files: Sequence[Path], target: Path) -> Mapping[str, str]:
    """Put each file into `target` with three copies; return the source of each name.

    The copies: JPEG of quality 40, half the size, nine tenths of each side.
    """
    sources: dict[str, str] = {}
    rng = np.random.default_rng(5)
    for file in files:
        picture = Image.open(file).convert("RGB")
        half = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
        made = {
            file.name: file.read_bytes(),
            f"{file.stem}-q40.jpg": as_jpeg(picture, 40),
            f"{file.stem}-half.jpg": as_jpeg(half, 90),
            f"{file.stem}-crop.jpg": as_jpeg(centre_cropped(picture, rng), 90),
        }
        for name, data in made.items():
            (target / name).write_bytes(data)
            sources[name] = file.stem
    return sources


def plant_among(
    files: Sequence[Path], target: Path, copies: int, *, seed: int
) -> Mapping[str, str]:
    """Put all files into `target`, and of `copies` of them one copy each, of any kind."""
    rng = np.random.default_rng(seed)
    sources = {file.name: file.stem for file in files}
    for file in files:
        (target / file.name).write_bytes(file.read_bytes())
    edits = list(COPIES.items())
    for place, number in enumerate(rng.permutation(len(files))[:copies].tolist()):
        name, edit = edits[place % len(edits)]
        file = files[number]
        picture = edit(Image.open(file).convert("RGB"), rng)
        copy = f"{file.stem}-{name.replace(' ', '-')}.jpg"
        (target / copy).write_bytes(as_jpeg(picture, 88))
        sources[copy] = file.stem
    return sources
