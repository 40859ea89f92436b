"""Any torchvision classification model and any timm model, by name.

The last feature map is what is pooled. timm hands it out; in a torchvision model
it is found by tracing: the last node whose output still has positions, as
[B, C, H, W] or, in transformers, as tokens [B, N, C].
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from embedder_service.models.definition import ModelDefinition, ModelError, file_sha256
from embedder_service.models.network import EmbeddingNetwork
from embedder_service.models.spec import ModelSpec
from embedder_service.preprocess import FILTERS, Preprocess


def define_library_model(spec: ModelSpec, precision: str) -> ModelDefinition:
    """Return the definition of a library model.

    Raises:
        ModelError: no such model, or weights that do not fit it.
    """
    load = _load_timm if spec.library == "timm" else _load_torchvision
    if spec.weights is not None and spec.weights.suffix not in (".safetensors", ".pth", ".pt"):
        raise ModelError(f"{spec.weights}: weights are .safetensors, .pth or .pt files")
    if spec.weights is not None:
        weights_sha256 = file_sha256(spec.weights)
    else:
        weights_sha256 = _state_sha256(load(spec)[0])
    backbone, preprocess = load(spec, weights=False)
    features = _features(backbone, preprocess.size_px)
    return ModelDefinition(
        name=spec.name,
        spec_text=spec.text,
        architecture=f"{spec.library}:{spec.architecture}",
        weights_sha256=weights_sha256,
        preprocess=preprocess,
        pooling=spec.pooling,
        dimension=features.shape[1],
        precision=precision,
        build=_builder(spec, load, preprocess),
    )


Load = Callable[..., tuple[nn.Module, Preprocess]]


def _builder(spec: ModelSpec, load: Load, preprocess: Preprocess) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        backbone, _ = load(spec)
        return EmbeddingNetwork(
            backbone, mean=preprocess.mean, std=preprocess.std, pooling=spec.pooling
        ).eval()

    return build


def _load_timm(spec: ModelSpec, *, weights: bool = True) -> tuple[nn.Module, Preprocess]:
    try:
        import timm
        from timm.data.config import resolve_model_data_config
    except ImportError as error:
        raise ModelError("timm is not installed: pip install 'lookalike[timm]'") from error
    pretrained = weights and spec.weights is None
    try:
        model = timm.create_model(spec.architecture, pretrained=pretrained)
        config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]  # timm has no types here
        if weights and spec.weights is not None:
            _fill(model, spec.weights)
        reset_classifier: Any = model.reset_classifier
        reset_classifier(0, "")
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(_failure(spec, error)) from error
    return _Positions(model.eval(), _timm_layout(model)), _timm_preprocess(config)


def _timm_layout(model: Any) -> str:
    return str(getattr(model, "output_fmt", "NCHW"))


def _timm_preprocess(config: dict[str, Any]) -> Preprocess:
    interpolation = config["interpolation"]
    return Preprocess(
        size_px=int(config["input_size"][1]),
        crop_fraction=float(config["crop_pct"]),
        resize_filter=interpolation if interpolation in FILTERS else "bicubic",
        mean=_triple(config["mean"]),
        std=_triple(config["std"]),
    )


def _load_torchvision(spec: ModelSpec, *, weights: bool = True) -> tuple[nn.Module, Preprocess]:
    from torchvision import models

    try:
        choices = models.get_model_weights(spec.architecture)
        chosen = choices.DEFAULT
        pretrained = chosen if weights and spec.weights is None else None
        model = models.get_model(spec.architecture, weights=pretrained)
        if weights and spec.weights is not None:
            _fill(model, spec.weights)
    except (RuntimeError, ValueError, OSError, AttributeError) as error:
        raise ModelError(_failure(spec, error)) from error
    preprocess = _torchvision_preprocess(chosen.transforms())
    return _cut(model.eval(), preprocess.size_px, spec), preprocess


def _torchvision_preprocess(transforms: Any) -> Preprocess:
    size = int(transforms.crop_size[0])
    return Preprocess(
        size_px=size,
        crop_fraction=min(1.0, size / int(transforms.resize_size[0])),
        resize_filter=str(transforms.interpolation.value),
        mean=_triple(transforms.mean),
        std=_triple(transforms.std),
    )


def _cut(model: nn.Module, size_px: int, spec: ModelSpec) -> nn.Module:
    """Return `model` up to its last node with positions."""
    try:
        traced = fx.symbolic_trace(model)
        ShapeProp(traced).propagate(torch.zeros(1, 3, size_px, size_px))
    except (fx.proxy.TraceError, RuntimeError, TypeError) as error:
        raise ModelError(f"torchvision:{spec.architecture} cannot be traced") from error
    last = None
    for node in traced.graph.nodes:
        shape = list(getattr(node.meta.get("tensor_meta"), "shape", ()))
        is_map = len(shape) == 4 and shape[2] * shape[3] > 1
        if is_map or (len(shape) == 3 and shape[1] > 1):
            last = node
    if last is None or last.op == "placeholder":
        raise ModelError(f"torchvision:{spec.architecture} has no feature map to pool")
    for node in reversed(traced.graph.nodes):
        if node.op == "output":
            node.args = (last,)
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return _Positions(traced, "NCHW")


class _Positions(nn.Module):
    """Brings [B, C, H, W], [B, H, W, C] or tokens [B, N, C] to [B, C, H, W]."""

    def __init__(self, backbone: nn.Module, layout: str) -> None:
        super().__init__()
        self.backbone = backbone
        self._last = layout == "NHWC"

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.backbone(x)
        if features.dim() == 3:
            return features.transpose(1, 2).unsqueeze(-1)
        return features.permute(0, 3, 1, 2) if self._last else features


def _features(backbone: nn.Module, size_px: int) -> Tensor:
    with torch.inference_mode():
        features: Tensor = backbone(torch.zeros(1, 3, size_px, size_px))
    if features.dim() != 4:
        raise ModelError(f"the model gives features of shape {tuple(features.shape)}, not a map")
    return features


def _fill(model: nn.Module, path: Path) -> None:
    """Load a file's weights into `model`, strictly."""
    state: dict[str, Tensor]
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state)


def _state_sha256(model: nn.Module) -> str:
    """Hash weights that came from no file of the user's: names and bytes in order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _failure(spec: ModelSpec, error: Exception) -> str:
    name = f"{spec.library}:{spec.architecture}"
    if spec.weights is None:
        return f"{name} cannot be loaded; without internet give its weights as {name}=FILE: {error}"
    return f"{name} cannot be loaded from {spec.weights}: {error}"


def _triple(values: Any) -> tuple[float, float, float]:
    """Bring a library's 0..1 statistics to 0..255."""
    red, green, blue = (float(value) * 255.0 for value in values)
    return red, green, blue
