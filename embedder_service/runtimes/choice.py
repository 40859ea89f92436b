"""Which runtime serves a model on this machine."""

from __future__ import annotations

import resource
from pathlib import Path

from embedder_service.models.definition import ModelDefinition
from embedder_service.runtimes.protocol import Runtime, RuntimeUnsupported
from embedder_service.runtimes.wrapping import FixedBatchRuntime, ProjectedRuntime


def resolve_device(device: str) -> str:
    """Return "openvino", or one of torch and onnxruntime on "cpu" or "cuda".

    "cpu" is OpenVINO; "cuda" is torch, which onnxruntime stands in for with ONNX
    files; "auto" takes a GPU where torch sees one. torch is asked only when the NVIDIA
    driver is there, so that a CPU server need not load it.
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
    runtime = _of_network(definition, device, threads, max_batch_images, cache_dir)
    if definition.onnx is not None and definition.onnx.batch:
        runtime = FixedBatchRuntime(runtime, definition.onnx.batch)
    if definition.projection is not None:
        runtime = ProjectedRuntime(runtime, definition.projection)
    return runtime


def _of_network(
    definition: ModelDefinition,
    device: str,
    threads: int,
    max_batch_images: int,
    cache_dir: Path | None,
) -> Runtime:
    if definition.onnx is not None and device != "openvino":
        if device == "torch-cpu":
            raise RuntimeUnsupported(
                f"{definition.name} is no torch module: set the device to openvino or "
                "onnxruntime-cpu"
            )
        from embedder_service.runtimes.onnx_runtime import OnnxRuntime

        return OnnxRuntime(definition, cuda=device.endswith("-cuda"), threads=threads)
    if device.startswith("onnxruntime-"):
        raise RuntimeUnsupported(
            f"{definition.name} is no ONNX file: set the device to cpu or cuda, which suit both"
        )
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
