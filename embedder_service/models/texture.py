"""Texture as a vector: how strongly the early layers of a network respond, wherever."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from embedder_service.models.efficientnet_lite import EfficientNetLite

# Rec. 601: a texture is the same in every colour.
_LUMA = (0.299, 0.587, 0.114)

# The blocks whose depthwise convolutions are listened to, and the last one's projection.
# Chosen on products with other surfaces (tests.bench.encoders.style_sets, row encoders.4b):
# later blocks find the product, and means or Gram matrices found less.
_BLOCKS = (3, 4, 7)

# Deviations below this share of the usual one count as none.
_LEAST_DEVIATION = 0.01


class Texture(nn.Module):
    """Maps float32 [B, 3, S, S] to [B, D]: logarithms of the deviations of responses.

    Each is measured against the channel's deviation over the pictures that the network
    was trained on, so that 0 is usual, above is more of that pattern, below is less. Each
    layer's part has unit length.
    """

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self._network = network
        self.register_buffer("luma", torch.tensor(_LUMA).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the deviations of each picture."""
        grey = (pictures * self.get_buffer("luma")).sum(dim=1, keepdim=True)
        x = self._network.stem(grey.expand(-1, 3, -1, -1))
        parts = []
        for place, block in enumerate(self._network.first_blocks(_BLOCKS[-1] + 1)):
            depthwise, projected, x = block.responses(x)
            usual_depthwise, usual_projected = block.usual_deviations()
            if place in _BLOCKS:
                parts.append(_deviations(depthwise, usual_depthwise))
            if place == _BLOCKS[-1]:
                parts.append(_deviations(projected, usual_projected))
        return torch.cat(parts, dim=1)


def _deviations(responses: Tensor, usual: Tensor) -> Tensor:
    """Return [B, C], unit L2, of [B, C, H, W]."""
    wide = responses.to(torch.float32)
    away = wide - wide.mean(dim=(2, 3), keepdim=True)
    deviations = away.square().mean(dim=(2, 3)).sqrt() / usual
    logarithms = deviations.clamp(min=_LEAST_DEVIATION).log()
    return logarithms / logarithms.square().sum(dim=1, keepdim=True).sqrt()
