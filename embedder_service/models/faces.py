"""The encoder of faces: `faces:FILE`, a file that `face_conversion` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from embedder_service.models.definition import (
    OWN_POOLING,
    ModelDefinition,
    ModelError,
    file_sha256,
)
from embedder_service.models.options import ModelOptions
from embedder_service.models.shapes import shaped
from embedder_service.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn

# What the conversion makes of the published graph, to the byte.
CONVERTED_SHA256 = "3f6bced5d16b4903099678d81858e69419dabf32526792544618dc43e56105d1"
COMMAND = "python -m embedder_service.models.face_conversion"

_DIMENSION = 1024
# All of the picture, which shows a face alone; Caffe's means of red, green and blue.
_OWN = Preprocess(
    224, 1.0, "bilinear", (123.68, 116.779, 103.939), (1.0, 1.0, 1.0), fit="squash", resize_px=224
)


def define(path: Path, options: ModelOptions, precision: str) -> ModelDefinition:
    """Return the definition of the face encoder in `path`.

    Raises:
        ModelError: the file cannot be read, or is not what the conversion makes.
    """
    sha256 = file_sha256(path)
    if sha256 != CONVERTED_SHA256:
        raise ModelError(f"{path} is not the converted face encoder: make it with `{COMMAND}`")
    preprocess = shaped(_OWN, options.shape)

    def build() -> nn.Module:
        from safetensors.torch import load_file

        from embedder_service.models.face_network import FaceNetwork
        from embedder_service.models.network import EmbeddingNetwork

        network = FaceNetwork()
        network.load_state_dict(load_file(path))
        return EmbeddingNetwork(
            network, mean=preprocess.mean, std=preprocess.std, pooling=OWN_POOLING
        ).eval()

    return ModelDefinition(
        name=f"faces:{path.name}{options.name}",
        spec_text=f"faces:{path}{options.text}",
        architecture="faces:faceres",
        weights_sha256=sha256,
        preprocess=preprocess,
        pooling=OWN_POOLING,
        dimension=_DIMENSION,
        precision=precision,
        build=build,
    )
