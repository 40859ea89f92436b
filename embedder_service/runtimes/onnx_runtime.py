"""onnxruntime, for ONNX files: on CUDA, or on a CPU in OpenVINO's place."""

from __future__ import annotations

from typing import Any

import numpy as np

from embedder_service import cores
from embedder_service.models.definition import ModelDefinition, ModelError
from embedder_service.preprocess import U8
from embedder_service.runtimes.protocol import RuntimeUnsupported
from lookalike.wire.vectors import F32

_CUDA = "CUDAExecutionProvider"
_TYPES = {"f32": np.float32, "f16": np.float16, "u8": np.uint8}


class OnnxRuntime:
    """One session; pictures are scaled here, since the file takes them scaled."""

    def __init__(self, definition: ModelDefinition, *, cuda: bool, threads: int) -> None:
        """Load the file.

        Raises:
            RuntimeUnsupported: onnxruntime, its CUDA or the precision is not there.
            ModelError: it cannot load the file.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise RuntimeUnsupported(
                "onnxruntime is not installed: pip install 'lookalike[onnx]'"
            ) from error
        if cuda and _CUDA not in onnxruntime.get_available_providers():
            raise RuntimeUnsupported(
                "the onnxruntime that is installed has no CUDA: pip install onnxruntime-gpu in "
                "its place, or set the device to openvino"
            )
        if definition.precision != "f32":
            raise RuntimeUnsupported("onnxruntime runs a file in its own types: set f32")
        if definition.onnx is None:
            raise ModelError(f"{definition.name} is no ONNX file")
        self._cuda = cuda
        self._graph = definition.onnx
        self._type: Any = _TYPES[self._graph.input_type]
        self._mean = np.array(definition.preprocess.mean, dtype=np.float32)
        self._std = np.array(definition.preprocess.std, dtype=np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores.usable()
        options.log_severity_level = 3
        # TF32, its default, rounds to 10 bits: vectors would differ from a CPU's.
        chosen: list[Any] = [(_CUDA, {"use_tf32": 0})] if cuda else ["CPUExecutionProvider"]
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(self._graph.path), options, providers=chosen
            )
        except Exception as error:  # its exceptions share no base
            cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"onnxruntime cannot load {self._graph.path}: {cause}") from error
        if cuda and _CUDA not in self._session.get_providers():
            raise RuntimeUnsupported("onnxruntime finds no CUDA device: set the device to openvino")

    @property
    def name(self) -> str:
        """The runtime, as metrics and logs name it."""
        return f"onnxruntime-{'cuda' if self._cuda else 'cpu'}"

    @property
    def slots(self) -> int:
        """How many batches can run beside one another."""
        return 1

    def infer(self, pixels: U8, slot: int | None = None) -> F32:
        """Return float32 [B, D] for uint8 [B, S, S, 3]."""
        scaled: Any = pixels
        if self._graph.input_type != "u8":
            scaled = ((pixels - self._mean) / self._std).astype(self._type, copy=False)
        if self._graph.layout == "NCHW":
            scaled = scaled.transpose(0, 3, 1, 2)
        feed = {self._graph.input: np.ascontiguousarray(scaled)}
        (given,) = self._session.run([self._graph.output], feed)
        vectors: F32 = given.astype(np.float32, copy=False).reshape(len(pixels), -1)
        return vectors
