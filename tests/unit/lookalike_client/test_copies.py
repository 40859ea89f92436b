"""Copies of pictures, as people make them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from lookalike_client.copies import copies_of


def test_a_photograph_is_recompressed_halved_cropped_and_edited(tmp_path: Path) -> None:
    path = tmp_path / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)  # type: ignore[no-untyped-call]
    copies = {name: Image.open(io.BytesIO(each)) for name, each in copies_of(path).items()}
    assert {name: each.size for name, each in copies.items()} == {
        "recompressed": (512, 512),
        "halved": (256, 256),
        "cropped": (460, 460),
        "edited": (512, 512),
    }
    assert {each.format for each in copies.values()} == {"JPEG"}
    original = np.asarray(Image.open(path).convert("L"), dtype=float)
    same = np.asarray(copies["recompressed"].convert("L"), dtype=float)
    assert 0 < np.abs(same - original).mean() < 5
    assert np.asarray(copies["edited"].convert("L")).mean() > original.mean() + 5
    # The middle of the crop is the middle of the picture.
    middle = np.asarray(copies["cropped"].convert("L"), dtype=float)[180:280, 180:280]
    assert np.abs(middle - original[206:306, 206:306]).mean() < 5


def test_an_orientation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (40, 20), "red").save(path, exif=exif)
    assert Image.open(io.BytesIO(copies_of(path)["recompressed"])).size == (20, 40)


def test_a_tiny_picture_has_copies(tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    Image.new("L", (1, 1)).save(path)
    assert Image.open(io.BytesIO(copies_of(path)["halved"])).size == (1, 1)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing to see")
    with pytest.raises(OSError, match="cannot identify"):
        copies_of(path)
