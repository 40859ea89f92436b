"""Models as torch modules: of timm and torchvision by name, and of the user's own.

Preprocessing and vector are those of the library, see
`embedder_service.models.timm_models` and `embedder_service.models.torchvision_models`,
or the user's, see `embedder_service.models.own`.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from embedder_service.models.checkpoint import fill
from embedder_service.models.definition import (
    OWN_POOLING,
    ModelDefinition,
    ModelError,
    file_sha256,
)
from embedder_service.models.network import EmbeddingNetwork, LibraryModel, pool
from embedder_service.models.shapes import shaped
from embedder_service.models.spec import ModelSpec
from embedder_service.preprocess import Preprocess


def define_library_model(spec: ModelSpec, precision: str) -> ModelDefinition:
    """Return the definition of a library model.

    Raises:
        ModelError: no such model, or no weights.
    """
    if spec.weights is not None:
        weights_sha256 = file_sha256(spec.weights)
    else:
        weights_sha256 = _state_sha256(_headless(_create(spec, pretrained=True)))
    model = _create(spec, pretrained=False)
    preprocess = shaped(model.preprocess, spec.options.shape)
    return ModelDefinition(
        name=spec.name,
        spec_text=spec.text,
        architecture=model.architecture or spec.model,
        weights_sha256=weights_sha256,
        preprocess=preprocess,
        pooling=_pooling(spec),
        dimension=_dimension(model.backbone(_headless(model)), preprocess.size_px, spec),
        precision=precision,
        build=lambda: _build(spec, preprocess),
    )


def _build(spec: ModelSpec, preprocess: Preprocess) -> nn.Module:
    model = _create(spec, pretrained=spec.weights is None)
    network = _headless(model)
    if spec.weights is not None:
        fill(network, spec.weights, heads=model.heads, name=spec.model)
    return EmbeddingNetwork(
        model.backbone(network), mean=preprocess.mean, std=preprocess.std, pooling=_pooling(spec)
    ).eval()


def _create(spec: ModelSpec, *, pretrained: bool) -> LibraryModel:
    if spec.library == "timm":
        from embedder_service.models.timm_models import create
    elif spec.library == "python":
        from embedder_service.models.own import create
    else:
        from embedder_service.models.torchvision_models import create
    return create(spec, _pooling(spec), pretrained=pretrained)


def _pooling(spec: ModelSpec) -> str:
    return spec.options.pooling or OWN_POOLING


def _headless(model: LibraryModel) -> nn.Module:
    """Return the network without its classifier, which no vector depends on."""
    for path in model.heads:
        parent, _, name = path.rpartition(".")
        setattr(model.network.get_submodule(parent), name, nn.Identity())
    return model.network.eval()


def _dimension(backbone: nn.Module, size_px: int, spec: ModelSpec) -> int:
    """Return the length of the vectors."""
    try:
        with torch.inference_mode():
            features: object = backbone(torch.zeros(1, 3, size_px, size_px))
    except Exception as error:  # whatever a network of somebody else's raises
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"{spec.model} does not run on a picture [1, 3, {size_px}, {size_px}]: {cause}"
        ) from error
    if not isinstance(features, Tensor):
        raise ModelError(f"{spec.model} gives {type(features).__name__}, not one tensor")
    pooling = _pooling(spec)
    whole = features.flatten(1).shape[1]
    if pooling == OWN_POOLING and features.dim() != 2 and whole != features.shape[1]:
        raise ModelError(
            f"{spec.model} gives features of shape {list(features.shape)}, not one vector: "
            + ("pool them in it" if spec.library == "python" else f"write {spec.model}@avg")
        )
    if pooling != OWN_POOLING and features.dim() != 4:
        raise ModelError(
            f"{spec.model} gives features of shape {list(features.shape)}, which @{pooling} "
            "cannot pool: leave it away"
        )
    return pool(features, pooling).shape[1]


def _state_sha256(model: nn.Module) -> str:
    """Hash weights that came from no file of the user's: names and bytes in order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
