"""What every runtime is to the batcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from embedder_service.preprocess import U8
from lookalike.wire.vectors import F32


class RuntimeUnsupported(Exception):
    """This machine cannot run the model that way; the message says what to set."""


class Runtime(Protocol):
    """A loaded network on one device.

    A device may have several slots, which are parts that work side by side: the
    cores of a CPU. One call at a time runs in each, or one alone on all.
    """

    @property
    def name(self) -> str:
        """What runs the network: "openvino", "torch-cpu", "torch-cuda", "onnxruntime-cpu"
        or "onnxruntime-cuda"."""
        ...

    @property
    def slots(self) -> int:
        """How many calls may run at one time, at least 1."""
        ...

    def infer(self, pixels: U8, slot: int | None = None) -> F32:
        """Return float32 [B, D] for uint8 [B, S, S, 3]: same length, same order.

        `slot` is 0 to slots - 1, or None for all of the device, which no other
        call may then use. The vectors are pooled features, not yet of unit
        length.
        """
        ...


class TextRuntime(Protocol):
    """A loaded text tower; one call runs at a time."""

    def infer(self, texts: Sequence[str]) -> F32:
        """Return float32 [B, D] for B texts: same length, same order, of any norm."""
        ...
