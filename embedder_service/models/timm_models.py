"""Models of timm: its data configuration, and its output without a classifier."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from embedder_service.models import downloads
from embedder_service.models.definition import OWN_POOLING, ModelError
from embedder_service.models.network import LibraryModel
from embedder_service.models.shapes import USUAL_CROP
from embedder_service.models.spec import ModelSpec
from embedder_service.preprocess import FILTERS, Preprocess

_FITS = {"center": "center", "squash": "squash", "border": "border"}


def create(spec: ModelSpec, pooling: str, *, pretrained: bool) -> LibraryModel:
    """Return a model of timm, with the library's weights if `pretrained`.

    Raises:
        ModelError: no such model, or its weights cannot be had.
    """
    try:
        import timm
        from timm.data.config import resolve_model_data_config
    except ImportError as error:
        raise ModelError("timm is not installed: pip install 'lookalike[timm]'") from error
    try:
        if pretrained:
            _check_weights(timm, spec)
        model = timm.create_model(spec.architecture, pretrained=pretrained)
    except (RuntimeError, ValueError, OSError, LookupError) as error:
        raise ModelError(_failure(spec, error, pretrained=pretrained)) from error
    config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]  # timm has no types here
    return LibraryModel(
        network=model,
        heads=_heads(model),
        preprocess=_preprocess(config, spec),
        backbone=_Own if pooling == OWN_POOLING else _Positions,
    )


def _check_weights(timm: Any, spec: ModelSpec) -> None:
    """Raise unless the weights are on this machine, or where they are answers."""
    if ":" in spec.architecture:  # hf-hub: or local-dir:, with a configuration of its own
        _, _, place = spec.architecture.partition(":")
        if spec.architecture.startswith("hf-hub:"):
            downloads.check_hub(spec.model, place)
        return
    config = timm.get_pretrained_cfg(spec.architecture)
    if config is None or not config.has_weights:
        names = [name for name in timm.list_models(spec.architecture + "*") if name]
        if not names:
            raise ValueError(f"timm has no model {spec.architecture}")
        raise ModelError(
            f"timm publishes no weights for {spec.architecture}: give yours as {spec.model}=FILE"
        )
    if config.hf_hub_id:
        downloads.check_hub(spec.model, str(config.hf_hub_id))
    elif config.url:
        downloads.check_url(spec.model, str(config.url))


def _heads(model: Any) -> tuple[str, ...]:
    """Return the paths of what classifies, one or several."""
    named = (getattr(model, "pretrained_cfg", None) or {}).get("classifier") or ()
    paths = (named,) if isinstance(named, str) else tuple(named)
    modules = dict(model.named_modules())
    return tuple(path for path in paths if path in modules)


def _preprocess(config: dict[str, Any], spec: ModelSpec) -> Preprocess:
    channels, height_px, width_px = (int(side) for side in config["input_size"])
    if channels != 3 or height_px != width_px:
        raise ModelError(
            f"{spec.model} takes {channels} channels of {height_px} x {width_px} pixels; only "
            "models with 3 channels and a square input can be served"
        )
    crop_pct = float(config["crop_pct"] or USUAL_CROP)
    interpolation = str(config["interpolation"])
    if interpolation not in FILTERS:
        raise ModelError(f"{spec.model} resizes by {interpolation}, which is not supported")
    red, green, blue = (float(value) * 255.0 for value in config["mean"])
    red_std, green_std, blue_std = (float(value) * 255.0 for value in config["std"])
    return Preprocess(
        size_px=height_px,
        crop_fraction=crop_pct,
        resize_filter=interpolation,
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        fit=_FITS.get(str(config["crop_mode"]), "center"),
        # As timm computes it.
        resize_px=math.floor(height_px / crop_pct),
        as_stored=True,
    )


class _Own(nn.Module):
    """The vector that the model classifies by: its class token, attention or average."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        model: Any = self.model
        vector: Tensor = model.forward_head(model.forward_features(x), pre_logits=True)
        return vector


class _Positions(nn.Module):
    """The last features as [B, C, H, W], without class and register tokens."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._last = getattr(model, "output_fmt", "NCHW") == "NHWC"
        self._prefix = int(getattr(model, "num_prefix_tokens", 0))

    def forward(self, x: Tensor) -> Tensor:
        model: Any = self.model
        features: Tensor = model.forward_features(x)
        if features.dim() == 3:
            return features[:, self._prefix :].transpose(1, 2).unsqueeze(-1)
        return features.permute(0, 3, 1, 2) if self._last else features


def _failure(spec: ModelSpec, error: Exception, *, pretrained: bool) -> str:
    cause = " ".join(str(error).split()) or type(error).__name__
    if pretrained:
        return downloads.without(spec.model, cause)
    return f"{spec.model} cannot be made: {cause}"
