"""encoders.1: are the vectors of library models those of the library's own pipeline?"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.torch_cpu import TorchCpuRuntime
from tests.bench.encoders.embedding import photographs, png, square
from tests.bench.report import Report

_PHOTOS = 20
_LEAST = 0.9999
_WHAT = "least cosine to the library's own pipeline, 20 photographs from PNG, random weights"
EXPECTED = ("encoders.1a", _WHAT, "", f">= {_LEAST}")

# The kinds that differ: how they end, how they cut, how large their input is.
_TIMM = (
    ("a", "resnet50", "a CNN"),
    ("b", "vit_small_patch14_reg4_dinov2", "a ViT with class and register tokens, 518 px"),
    ("c", "vit_base_patch16_siglip_224", "attention pooling, squashed"),
    ("d", "vit_base_patch32_clip_224", "CLIP's image tower"),
    ("e", "convnext_tiny", "a ConvNeXt"),
    ("f", "vit_small_patch16_384", "384 px"),
)
_TORCHVISION = (
    ("g", "resnet50", "fc"),
    ("h", "vit_b_32", "heads.head"),
    ("i", "convnext_tiny", "classifier.2"),
)


def measure(report: Report) -> None:
    """Add a row for each kind of model."""
    files = photographs("neardup_photos")[:_PHOTOS]
    pngs = [png(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]
    for place, name, what in _TIMM:
        least = _timm(name, pngs)
        report.at_least(f"encoders.1{place}", f"timm:{name} ({what}): {_WHAT}", least, "", _LEAST)
    for place, name, head in _TORCHVISION:
        least = _torchvision(name, head, pngs)
        report.at_least(f"encoders.1{place}", f"torchvision:{name}: {_WHAT}", least, "", _LEAST)


def _timm(name: str, pngs: list[bytes]) -> float:
    import timm
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform

    torch.manual_seed(0)
    model: Any = timm.create_model(name).eval()
    config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]  # timm has no types here
    transform: Any = create_transform(**config)

    def theirs(x: Tensor) -> Tensor:
        vectors: Tensor = model.forward_head(model.forward_features(x), pre_logits=True)
        return vectors

    return _least_cosine(f"timm:{name}", model, transform, theirs, pngs)


def _torchvision(name: str, head: str, pngs: list[bytes]) -> float:
    from torchvision.models import get_model, get_model_weights

    torch.manual_seed(0)
    model = get_model(name, weights=None).eval()
    transform = get_model_weights(name).DEFAULT.transforms()

    def theirs(x: Tensor) -> Tensor:
        parent, _, own = head.rpartition(".")
        setattr(model.get_submodule(parent), own, nn.Identity())
        vectors: Tensor = model(x)
        return vectors

    return _least_cosine(f"torchvision:{name}", model, transform, theirs, pngs)


def _least_cosine(
    name: str,
    model: nn.Module,
    transform: Callable[[Image.Image], Tensor],
    theirs: Callable[[Tensor], Tensor],
    pngs: list[bytes],
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(model.state_dict(), path)
        definition = define(spec.parse(f"{name}={path}"), "f32")
        runtime = TorchCpuRuntime(definition)
    cosines = []
    for data in pngs:
        ours = unit_vectors(runtime.infer(square(definition.preprocess, data)[None]), 1)
        with torch.inference_mode():
            x = transform(Image.open(io.BytesIO(data)).convert("RGB"))[None]
            wanted = unit_vectors(theirs(x).flatten(1).numpy(), 1)
        cosines.append(float((ours.astype(np.float64) * wanted).sum()))
    return min(cosines)
