"""Which runtime serves a model on this machine."""

from __future__ import annotations

import resource
from pathlib import Path

from embedder_service.models.definition import ModelDefinition
from embedder_service.runtimes.protocol import Runtime


def resolve_device(device: str) -> str:
    """Return "openvino", "torch-cpu" or "torch-cuda".

    "cpu" is OpenVINO; "auto" takes a GPU where torch sees one. torch is asked
    only when the NVIDIA driver is there, so that a CPU server need not load it.
    """
    if device == "auto":
        device = "cuda" if _has_cuda() else "cpu"
    return {"cpu": "openvino", "cuda": "torch-cuda"}.get(device, device)


def load_runtime(
    definition: ModelDefinition,
    device: str,
    *,
    threads: int,
    max_batch_images: int,
    cache_dir: Path | None,
) -> Runtime:
    """Load `definition` on a resolved `device`.

    Raises:
        RuntimeUnsupported: this machine cannot run it that way.
        ModelError: the weights cannot be loaded.
    """
    if device == "torch-cuda":
        from embedder_service.runtimes.torch_cuda import TorchCudaRuntime

        return TorchCudaRuntime(definition, max_batch_images=max_batch_images)
    if device == "torch-cpu":
        from embedder_service.runtimes.torch_cpu import TorchCpuRuntime

        return TorchCpuRuntime(definition)
    from embedder_service.runtimes.openvino import OpenVinoRuntime

    return OpenVinoRuntime(definition, threads=threads, cache_dir=cache_dir)


def memory_used_bytes(device: str) -> int:
    """Return the bytes that this process uses of the memory of a resolved `device`."""
    if device == "torch-cuda":
        import torch

        return torch.cuda.memory_reserved()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _has_cuda() -> bool:
    if not Path("/proc/driver/nvidia/version").exists():
        return False
    import torch

    return torch.cuda.is_available()
