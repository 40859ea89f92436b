"""Encoders of looks: which colours a picture has, and what its surfaces are like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedder_service.models import lite
from embedder_service.models.definition import OWN_POOLING, ModelDefinition
from embedder_service.models.options import ModelOptions
from embedder_service.models.shapes import shaped
from embedder_service.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn

NAMES = ("palette", "texture")

# Whose early layers texture is read from.
_TEXTURE_OF = "efficientnet-lite2"

# Of all of the picture, since a palette has no shape. The side was chosen on recoloured
# products (tests.bench.encoders.style_sets, row encoders.4a): 96 found more than 64.
_PALETTE = Preprocess(
    96, 1.0, "bicubic", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), fit="squash", resize_px=96
)
# Lite2's own scale and size; the crop keeps the proportions, on which a texture depends.
_TEXTURE = Preprocess(260, 1.0, "bicubic", (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))

# The recipes' versions, in the fingerprint: count one up when its vectors change.
_VERSIONS = {"palette": 1, "texture": 1}
# Bins, and channels, that the networks of these versions have.
_DIMENSIONS = {"palette": 522, "texture": 664}


def define(name: str, options: ModelOptions, precision: str) -> ModelDefinition:
    """Return the definition of one of `NAMES`.

    Raises:
        ModelError: the weights of texture are not installed, or are others.
    """
    own = _PALETTE if name == "palette" else _TEXTURE
    is_own = {"palette": "squash", "texture": "crop"}[name] == options.shape
    preprocess = own if is_own else shaped(own, options.shape)
    weights_sha256 = ""
    if name == "texture":
        weights_sha256 = lite.define(_TEXTURE_OF, ModelOptions(), precision).weights_sha256
    return ModelDefinition(
        name=f"style:{name}{options.name}",
        spec_text=f"style:{name}{options.text}",
        architecture=f"style:{name}:{_VERSIONS[name]}",
        weights_sha256=weights_sha256,
        preprocess=preprocess,
        pooling=OWN_POOLING,
        dimension=_DIMENSIONS[name],
        precision=precision,
        build=lambda: _build(name, preprocess),
    )


def _build(name: str, preprocess: Preprocess) -> nn.Module:
    import torch

    from embedder_service.models.efficientnet_lite import LITE2, EfficientNetLite
    from embedder_service.models.network import EmbeddingNetwork
    from embedder_service.models.palette import Palette
    from embedder_service.models.texture import Texture

    backbone: nn.Module = Palette()
    if name == "texture":
        network = EfficientNetLite(LITE2)
        path = lite.weights_path(_TEXTURE_OF)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        backbone = Texture(network)
    return EmbeddingNetwork(
        backbone, mean=preprocess.mean, std=preprocess.std, pooling=OWN_POOLING
    ).eval()
