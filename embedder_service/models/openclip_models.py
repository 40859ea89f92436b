"""Models of open_clip: an image tower and a text tower that give vectors of one space.

A model is a configuration that open_clip ships, or a file of that form, such as the
open_clip_config.json beside published weights. Preprocessing, tokens and vectors are
the library's own. Configurations whose words come from a tokenizer that has to be
downloaded are refused: the one that open_clip ships serves the others.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from embedder_service.models.checkpoint import State, fill
from embedder_service.models.definition import (
    OWN_POOLING,
    ModelDefinition,
    ModelError,
    TextTower,
    file_sha256,
)
from embedder_service.models.network import EmbeddingNetwork
from embedder_service.models.openclip_configs import Config, library, read_config
from embedder_service.models.shapes import shaped
from embedder_service.models.spec import ModelSpec
from embedder_service.models.tokens import Tokenizer
from embedder_service.preprocess import Preprocess

# What only training needs, with weights of its own.
_OTHERS = ("logit_scale", "logit_bias", "text_decoder")
# What OpenAI's files hold beside weights.
_NO_WEIGHTS = frozenset(("input_resolution", "context_length", "vocab_size"))


def define_openclip_model(spec: ModelSpec, precision: str) -> ModelDefinition:
    """Return the definition of `openclip:NAME`.

    Raises:
        ModelError: no such configuration, one that is not supported, or no weights.
    """
    config = read_config(spec)
    weights = config.weights_file()
    preprocess = shaped(_preprocess(config, spec), spec.options.shape)
    return ModelDefinition(
        name=spec.name,
        spec_text=spec.text,
        architecture=f"openclip:{json.dumps(config.model, sort_keys=True)}",
        weights_sha256=file_sha256(weights),
        preprocess=preprocess,
        pooling=OWN_POOLING,
        dimension=int(config.model["embed_dim"]),
        precision=precision,
        build=partial(_image_tower, spec, config.model, weights, preprocess),
        text=TextTower(
            build=partial(_text_tower, spec, config.model, weights),
            tokenizer=partial(_tokenizer, config.model["text_cfg"]),
        ),
    )


class _Images(nn.Module):
    """float32 [B, 3, S, S] to [B, D]: what `encode_image` of the model gives."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, x: Tensor) -> Tensor:
        # Some towers give their tokens too.
        features: Any = self.visual(x)
        vector: Tensor = features[0] if isinstance(features, tuple) else features
        return vector


class _Texts(nn.Module):
    """int64 tokens [B, L] to [B, D]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        vector: Tensor = self.model.encode_text(tokens, normalize=False)
        return vector


def _image_tower(
    spec: ModelSpec, config: Mapping[str, Any], weights: Path, preprocess: Preprocess
) -> nn.Module:
    model = _loaded(spec, config, weights)
    return EmbeddingNetwork(
        _Images(model.visual), mean=preprocess.mean, std=preprocess.std, pooling=OWN_POOLING
    ).eval()


def _text_tower(spec: ModelSpec, config: Mapping[str, Any], weights: Path) -> nn.Module:
    model = _loaded(spec, config, weights)
    del model.visual
    return _Texts(model).eval()


def _tokenizer(text: Mapping[str, Any]) -> Tokenizer:
    simple = library().tokenizer.SimpleTokenizer(
        context_length=text.get("context_length", library().tokenizer.DEFAULT_CONTEXT_LENGTH),
        **(text.get("tokenizer_kwargs") or {}),
    )
    return Tokenizer(simple)


def _loaded(spec: ModelSpec, config: Mapping[str, Any], weights: Path) -> Any:
    """Return the model of a configuration with the weights of a file."""
    model: Any = _made(spec, config)
    for name in _OTHERS:
        if isinstance(getattr(model, name, None), nn.Parameter | nn.Module):
            delattr(model, name)
    fill(model, weights, heads=_OTHERS, name=spec.model, convert=_by_library)
    return model


def _made(spec: ModelSpec, config: Mapping[str, Any]) -> nn.Module:
    """Return the model as `open_clip.create_model` makes it, without weights."""
    made = copy.deepcopy(dict(config))
    if "timm_model_name" in made["vision_cfg"]:
        made["vision_cfg"]["timm_model_pretrained"] = False
    custom = made.pop("custom_text", False)
    kind = library().CLIP
    if custom:
        kind = library().CoCa if "multimodal_cfg" in made else library().CustomTextCLIP
    try:
        model: nn.Module = kind(**made).float().eval()
    except Exception as error:  # whatever a configuration of somebody else's breaks
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{spec.model} cannot be made: {cause}") from error
    return model


def _by_library(state: State, network: nn.Module) -> State | None:
    """Return `state` under the names that open_clip has today."""
    plain: State = {name: tensor for name, tensor in state.items() if name not in _NO_WEIGHTS}
    try:
        plain = library().factory.convert_state_dict(network, plain)
        if not hasattr(network, "positional_embedding"):
            plain = library().model.convert_to_custom_text_state_dict(plain)
    except Exception:  # noqa: BLE001 - it expects one publisher's file; others break it anyhow
        return None
    return plain


def _preprocess(config: Config, spec: ModelSpec) -> Preprocess:
    """Return what `open_clip.image_transform` does, for pictures as they are stored."""
    size = config.model["vision_cfg"].get("image_size", 224)
    sides = {int(side) for side in (size if isinstance(size, list | tuple) else [size])}
    if len(sides) != 1:
        raise ModelError(f"{spec.model} takes pictures of {size} pixels; only squares are served")
    fit = {"shortest": "center", "squash": "squash"}.get(config.resize_mode)
    if fit is None and not spec.options.shape:
        raise ModelError(
            f"{spec.model} resizes by the {config.resize_mode} side, which is not supported: "
            f"write {spec.model}@pad, whose ground is the mean"
        )
    size_px = sides.pop()
    red, green, blue = (value * 255.0 for value in config.mean)
    red_std, green_std, blue_std = (value * 255.0 for value in config.std)
    return Preprocess(
        size_px=size_px,
        crop_fraction=1.0,
        resize_filter="bilinear" if config.interpolation == "bilinear" else "bicubic",
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        fit=fit or "center",
        resize_px=size_px,
        as_stored=True,
    )
