"""An encoder of the user's own: `python:FILE`, a file that makes a torch module.

The file defines `encoder()`, which returns an `OwnEncoder`:

    def encoder() -> OwnEncoder:
        return OwnEncoder(MyNetwork(), size_px=224)

The file is the operator's, named on the command line like a program, and is run as one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from torch import nn

from embedder_service.models.definition import ModelError
from embedder_service.models.network import LibraryModel
from embedder_service.models.shapes import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    USUAL_CROP,
    as_libraries,
)
from embedder_service.models.spec import ModelSpec
from embedder_service.preprocess import FILTERS

_FUNCTION = "encoder"


@dataclass(frozen=True, slots=True)
class OwnEncoder:
    """A network, float32 [B, 3, S, S] to [B, D], and how its input is made.

    `mean` and `std` are of 0..1. The short side is resized to `size_px / crop_pct` by
    `filter`, and the middle of `size_px` cut out. `heads` are the paths of classifiers
    in the network, which are taken off; their weights may be in the file or not.
    """

    network: nn.Module
    _: KW_ONLY
    size_px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    crop_pct: float = USUAL_CROP
    filter: str = "bicubic"
    heads: tuple[str, ...] = ()


def create(spec: ModelSpec, pooling: str, *, pretrained: bool) -> LibraryModel:
    """Return the model that a file of the user's makes.

    Raises:
        ModelError: the file cannot be run, or makes no `OwnEncoder`.
    """
    path = Path(spec.architecture)
    own = _made(path)
    if own.filter not in FILTERS or not 0 < own.crop_pct <= 1 or own.size_px < 1:
        raise ModelError(
            f"{path}: the filter is one of {', '.join(FILTERS)}, crop_pct a share of 1, and "
            "size_px at least 1"
        )
    modules = dict(own.network.named_modules())
    for head in own.heads:
        if head not in modules:
            raise ModelError(f"{path}: the network has no module {head}, which `heads` names")
    return LibraryModel(
        network=own.network.float(),
        heads=own.heads,
        preprocess=as_libraries(
            own.size_px,
            mean=own.mean,
            std=own.std,
            crop_pct=own.crop_pct,
            resize_filter=own.filter,
        ),
        backbone=_itself,
        architecture=f"python:{hashlib.sha256(path.read_bytes()).hexdigest()}",
    )


def _itself(network: nn.Module) -> nn.Module:
    return network


def _made(path: Path) -> OwnEncoder:
    if not path.is_file():
        raise ModelError(f"cannot read the encoder {path}: no such file")
    name = f"lookalike_encoder_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
        made = getattr(module, _FUNCTION)()
    except Exception as error:  # whatever the user's code raises: its operator reads one line
        cause = " ".join(str(error).split()) or "no message"
        raise ModelError(f"{path} makes no encoder: {type(error).__name__}: {cause}") from error
    if not isinstance(made, OwnEncoder):
        raise ModelError(
            f"{path}: {_FUNCTION}() returns {type(made).__name__}, not an OwnEncoder of "
            "embedder_service.models.own"
        )
    return made
