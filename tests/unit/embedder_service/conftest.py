"""Real networks, loaded once."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition
from embedder_service.preprocess import U8

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(scope="session")
def lite0() -> ModelDefinition:
    return define(spec.parse("efficientnet-lite0"), "f32")


@pytest.fixture(scope="session")
def lite0_squares(lite0: ModelDefinition) -> U8:
    """Eight real photographs as the network sees them, uint8 [8, S, S, 3]."""
    data: Any = importlib.import_module("skimage.data")  # its functions have no types
    photos = [
        data.astronaut(), data.chelsea(), data.coffee(), data.rocket(),
        data.hubble_deep_field(), data.immunohistochemistry(), data.retina(), data.cat(),
    ]  # fmt: skip
    prepare = lite0.preprocess
    return np.stack([prepare.square(Image.fromarray(photo).convert("RGB")) for photo in photos])


@pytest.fixture(scope="session")
def imagenet_photos() -> list[Path]:
    folder = DATA / "neardup_photos" / "images"
    if not folder.is_dir():
        pytest.skip("the ImageNet sample photographs are not on this machine")
    return sorted(folder.iterdir())
