"""torch on an NVIDIA GPU."""

from __future__ import annotations

import contextlib

import torch

from embedder_service.models.definition import ModelDefinition
from embedder_service.preprocess import U8
from embedder_service.runtimes.protocol import RuntimeUnsupported
from lookalike.wire.vectors import F32

NAME = "torch-cuda"


class TorchCudaRuntime:
    """The network on one GPU: channels last, bf16 by autocast, pinned staging.

    Images are copied into one page-locked buffer that lives as long as the
    runtime, since pinning memory costs more than a small batch's forward pass.
    """

    def __init__(
        self, definition: ModelDefinition, *, max_batch_images: int, device_index: int = 0
    ) -> None:
        """Load the weights onto the GPU.

        Raises:
            RuntimeUnsupported: there is no such GPU, or it has no bf16.
            ModelError: the weights cannot be loaded.
        """
        if not torch.cuda.is_available() or device_index >= torch.cuda.device_count():
            raise RuntimeUnsupported("there is no such CUDA device: set the device to cpu")
        self._device = torch.device("cuda", device_index)
        self._bf16 = definition.precision == "bf16"
        if self._bf16 and not torch.cuda.is_bf16_supported():
            raise RuntimeUnsupported("this GPU has no bf16 arithmetic: set the precision to f32")
        network = definition.build().to(self._device)
        self._network = network.to(memory_format=torch.channels_last)
        size = definition.preprocess.size_px
        self._staging = torch.empty(
            (max_batch_images, size, size, 3), dtype=torch.uint8, pin_memory=True
        )

    @property
    def name(self) -> str:
        """The runtime, as metrics and logs name it."""
        return NAME

    @property
    def slots(self) -> int:
        """How many batches can run beside one another."""
        return 1

    def infer(self, pixels: U8, slot: int | None = None) -> F32:
        """Return float32 [B, D] for uint8 [B, S, S, 3]."""
        count = len(pixels)
        staged = self._staging[:count]
        staged.copy_(torch.from_numpy(pixels))
        autocast = (
            torch.autocast("cuda", dtype=torch.bfloat16) if self._bf16 else contextlib.nullcontext()
        )
        with torch.inference_mode(), autocast:
            on_device = staged.to(self._device, non_blocking=True)
            # Waits for the copy and the kernels, so the staging area is free again.
            vectors: F32 = self._network(on_device).float().cpu().numpy()
        return vectors
