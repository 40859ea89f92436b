"""The networks are the published ones: their own classifier says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from embedder_service.models import lite
from embedder_service.models.efficientnet_lite import LITE0, LITE2, EfficientNetLite, LiteVariant
from embedder_service.models.options import ModelOptions

PHOTOGRAPHS = 30


def _logits(network: EfficientNetLite, x: torch.Tensor) -> torch.Tensor:
    """Return ImageNet logits [B, 1000] by the published weights of the classifier."""
    classifier = network.get_submodule("_fc")
    logits: torch.Tensor = classifier(network(x).mean(dim=(2, 3)))
    return logits


@pytest.mark.parametrize(
    ("name", "variant"), [("efficientnet-lite0", LITE0), ("efficientnet-lite2", LITE2)]
)
def test_the_classifier_names_imagenet_photographs(
    name: str, variant: LiteVariant, imagenet_photos: list[Path]
) -> None:
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    numbers = {category.lower(): n for n, category in enumerate(_IMAGENET_CATEGORIES)}
    network = EfficientNetLite(variant).eval()
    network.load_state_dict(torch.load(lite.weights_path(name), weights_only=True))
    prepare = lite.define(name, ModelOptions(), "f32").preprocess
    squares: list[np.ndarray] = []
    wanted: list[int] = []
    for path in imagenet_photos:
        number = numbers.get(path.stem.partition("_")[2].replace("_", " ").lower())
        if number is not None and len(wanted) < PHOTOGRAPHS:
            squares.append(prepare.square(Image.open(path).convert("RGB")))
            wanted.append(number)
    x = (torch.from_numpy(np.stack(squares).astype(np.float32)).permute(0, 3, 1, 2) - 127) / 128
    with torch.inference_mode():
        named = _logits(network, x).argmax(dim=1).tolist()
    right = sum(name == number for name, number in zip(named, wanted, strict=True))
    assert len(wanted) == PHOTOGRAPHS
    assert right / PHOTOGRAPHS >= 0.8


@pytest.mark.parametrize(("variant", "parameters"), [(LITE0, 4_652_008), (LITE2, 6_092_072)])
def test_size_is_the_published_one(variant: LiteVariant, parameters: int) -> None:
    network = EfficientNetLite(variant)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_feature_map_is_a_32nd_of_the_input() -> None:
    network = EfficientNetLite(LITE2).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 260, 260)).shape == (1, 1280, 9, 9)
