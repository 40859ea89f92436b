"""What every runtime is to the batcher."""

from __future__ import annotations

from typing import Protocol

from embedder_service.preprocess import U8
from lookalike.wire.vectors import F32


class RuntimeUnsupported(Exception):
    """This machine cannot run the model that way; the message says what to set."""


class Runtime(Protocol):
    """A loaded network on one device, called from one thread at a time."""

    @property
    def name(self) -> str:
        """What runs the network: "openvino", "torch-cpu" or "torch-cuda"."""
        ...

    def infer(self, pixels: U8) -> F32:
        """Return float32 [B, D] for uint8 [B, S, S, 3]: same length, same order.

        The vectors are pooled features, not yet of unit length.
        """
        ...
