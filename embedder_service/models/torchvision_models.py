"""Classification models of torchvision: its weights' transforms, and its last features.

The vector is what the last linear layer gets: what is left when that layer, as usual,
is replaced by an identity. For the other poolings the last feature map is found by
tracing: the last node whose output still has positions, as [B, C, H, W] or, in
transformers, as tokens [B, N, C].
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from embedder_service.models import downloads
from embedder_service.models.definition import OWN_POOLING, ModelError
from embedder_service.models.network import LibraryModel
from embedder_service.models.spec import ModelSpec
from embedder_service.preprocess import FILTERS, Preprocess


def create(spec: ModelSpec, pooling: str, *, pretrained: bool) -> LibraryModel:
    """Return a model of torchvision, with the library's weights if `pretrained`.

    Raises:
        ModelError: no such model, or its weights cannot be had.
    """
    from torchvision import models

    try:
        chosen: Any = models.get_model_weights(spec.architecture).DEFAULT
        if pretrained:
            downloads.check_url(spec.model, chosen.url)
        model = models.get_model(spec.architecture, weights=chosen if pretrained else None)
    except (RuntimeError, ValueError, OSError, AttributeError) as error:
        cause = " ".join(str(error).split())
        if pretrained:
            raise ModelError(downloads.without(spec.model, cause)) from error
        raise ModelError(f"{spec.model} cannot be made: {cause}") from error
    preprocess = _preprocess(chosen.transforms(), spec)
    cut = partial(_cut, size_px=preprocess.size_px, model_name=spec.model)
    return LibraryModel(
        network=model,
        heads=_heads(model),
        preprocess=preprocess,
        backbone=_itself if pooling == OWN_POOLING else cut,
    )


def _itself(model: nn.Module) -> nn.Module:
    return model


def _heads(model: nn.Module) -> tuple[str, ...]:
    """Return the path of the last linear layer, if there is one."""
    linear = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    return tuple(linear[-1:])


def _preprocess(transforms: Any, spec: ModelSpec) -> Preprocess:
    try:
        (size_px,), (resize_px,) = set(transforms.crop_size), set(transforms.resize_size)
        interpolation = str(transforms.interpolation.value)
        mean, std = transforms.mean, transforms.std
    except (AttributeError, ValueError, TypeError) as error:
        raise ModelError(f"{spec.model} is no model that classifies square pictures") from error
    if interpolation not in FILTERS:
        raise ModelError(f"{spec.model} resizes by {interpolation}, which is not supported")
    red, green, blue = (float(value) * 255.0 for value in mean)
    red_std, green_std, blue_std = (float(value) * 255.0 for value in std)
    return Preprocess(
        size_px=size_px,
        crop_fraction=min(1.0, size_px / resize_px),
        resize_filter=interpolation,
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        fit="center",
        resize_px=resize_px,
        as_stored=True,
    )


def _cut(model: nn.Module, *, size_px: int, model_name: str) -> nn.Module:
    """Return `model` up to its last node with positions."""
    try:
        traced = fx.symbolic_trace(model)
        ShapeProp(traced).propagate(torch.zeros(1, 3, size_px, size_px))
    except (fx.proxy.TraceError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"{model_name} cannot be traced to its last map: leave the pooling away"
        ) from error
    last = None
    for node in traced.graph.nodes:
        shape = list(getattr(node.meta.get("tensor_meta"), "shape", ()))
        is_map = len(shape) == 4 and shape[2] * shape[3] > 1
        if is_map or (len(shape) == 3 and shape[1] > 1):
            last = node
    if last is None or last.op == "placeholder":
        raise ModelError(f"{model_name} has no feature map to pool: leave the pooling away")
    for node in reversed(traced.graph.nodes):
        if node.op == "output":
            node.args = (last,)
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return _Positions(traced, prefix=1 if hasattr(model, "class_token") else 0)


class _Positions(nn.Module):
    """Brings [B, C, H, W] or tokens [B, N, C] to [B, C, H, W], without class tokens."""

    def __init__(self, backbone: nn.Module, prefix: int) -> None:
        super().__init__()
        self.backbone = backbone
        self._prefix = prefix

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.backbone(x)
        if features.dim() == 3:
            return features[:, self._prefix :].transpose(1, 2).unsqueeze(-1)
        return features
