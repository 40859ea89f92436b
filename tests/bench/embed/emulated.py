"""bf16 on a CPU that has none: rounded operands, float32 sums, as the hardware does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from embedder_service.models.definition import ModelDefinition
from embedder_service.preprocess import U8
from lookalike.wire.vectors import F32


class EmulatedBf16:
    """torch in f32 with the operands of every convolution rounded to bf16."""

    name = "torch, bf16 emulated"
    slots = 1

    def __init__(self, definition: ModelDefinition) -> None:
        self._network = definition.build()
        for module in self._network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data = _rounded(module.weight.data)
                module.register_forward_pre_hook(_round_input)
        self._network.to(memory_format=torch.channels_last)

    def infer(self, pixels: U8, slot: int | None = None) -> F32:
        """Return float32 [B, D] for uint8 [B, S, S, 3]."""
        with torch.inference_mode():
            vectors: F32 = self._network(torch.from_numpy(pixels)).numpy()
        return vectors


def _round_input(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(_rounded(tensor) for tensor in inputs)


def _rounded(tensor: Tensor) -> Tensor:
    return tensor.to(torch.bfloat16).to(torch.float32)
