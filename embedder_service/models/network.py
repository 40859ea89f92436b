"""A backbone between the pixels and one vector an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from embedder_service.models.definition import OWN_POOLING
from embedder_service.preprocess import Preprocess

# The exponent of generalised-mean pooling (Radenović et al. 2018, section 3.2:
# p = 3 before training).
GEM_POWER = 3.0
_GEM_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """A model as its library makes it.

    `network` still has its classifier, under `heads`: the paths of its modules in
    `network`. `backbone` makes of a network without one what the pooling wants.
    `architecture` names it in the fingerprint; empty for the name that it was asked by.
    """

    network: nn.Module
    heads: tuple[str, ...]
    preprocess: Preprocess
    backbone: Callable[[nn.Module], nn.Module]
    architecture: str = ""


class EmbeddingNetwork(nn.Module):
    """uint8 [B, S, S, 3] to float32 [B, D]: scale, backbone, pool.

    The backbone returns [B, D, H, W], or the vectors themselves where the pooling is
    its own. Scaling is part of the graph so that a quarter of the bytes travel and
    every runtime scales alike.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        pooling: str,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        scale = 1.0 / torch.tensor(std, dtype=torch.float64)
        self.register_buffer("scale", scale.float().view(1, 3, 1, 1), persistent=False)
        self.pooling = pooling

    def forward(self, pixels: Tensor) -> Tensor:
        """Return one vector an image."""
        x = pixels.permute(0, 3, 1, 2).to(torch.float32)
        features = self.backbone((x - self.mean) * self.scale)
        return pool(features, self.pooling)


def pool(features: Tensor, pooling: str) -> Tensor:
    """Return float32 [B, D] from [B, D, H, W], or from [B, D] where that is the pooling."""
    wide = features.to(torch.float32)
    if pooling == OWN_POOLING:
        return wide.flatten(1)
    if pooling == "max":
        return wide.amax(dim=(2, 3))
    if pooling == "gem":
        powered = wide.clamp(min=_GEM_FLOOR).pow(GEM_POWER)
        return powered.mean(dim=(2, 3)).pow(1.0 / GEM_POWER)
    return wide.mean(dim=(2, 3))
