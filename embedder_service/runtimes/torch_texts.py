"""A text tower as torch runs it, beside whatever runs the images.

A query has few words: on a CPU a text takes less than a picture, so that torch's own
speed does, and its vectors are the library's to the last digits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch

from embedder_service.models.definition import ModelDefinition, TextTower
from lookalike.wire.vectors import F32


class TorchTexts:
    """Tokens, the tower, and the model's projection."""

    def __init__(self, tower: TextTower, definition: ModelDefinition, device: str) -> None:
        """Load the weights onto a resolved `device`.

        Raises:
            ModelError: they cannot be loaded.
        """
        self._place = "cuda" if device == "torch-cuda" else "cpu"
        self._tokens = tower.tokenizer()
        self._network = tower.build().to(self._place)
        self._bf16 = definition.precision == "bf16"
        self._projection = definition.projection

    def infer(self, texts: Sequence[str]) -> F32:
        """Return float32 [B, D]."""
        autocast = (
            torch.autocast(self._place, dtype=torch.bfloat16)
            if self._bf16
            else contextlib.nullcontext()
        )
        with torch.inference_mode(), autocast:
            tokens = self._tokens(texts).to(self._place)
            vectors: F32 = self._network(tokens).float().cpu().numpy()
        return vectors if self._projection is None else self._projection.apply(vectors)
