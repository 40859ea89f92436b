"""OpenVINO on CPU: the default, four times as fast as torch in f32."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedder_service import cores
from embedder_service.models.definition import ModelDefinition
from embedder_service.preprocess import U8
from embedder_service.runtimes.cache import read_or_convert
from embedder_service.runtimes.openvino_onnx import read_onnx
from embedder_service.runtimes.protocol import RuntimeUnsupported
from lookalike.wire.vectors import F32

if TYPE_CHECKING:
    import openvino

NAME = "openvino"


class OpenVinoRuntime:
    """A network compiled twice: for all cores together, and for each apart.

    On all cores together one image takes the least time. With a slot for each
    core no thread waits for another within a layer, which gives 15 to 20 % more
    images on two cores, and more where decoding wants the same cores.

    The precision is set, never left to OpenVINO's choice.
    """

    def __init__(
        self, definition: ModelDefinition, *, threads: int, cache_dir: Path | None
    ) -> None:
        """Convert, or read the cached conversion, and compile.

        Raises:
            RuntimeUnsupported: the precision is not one of this CPU's.
            ModelError: the weights cannot be loaded.
        """
        without_telemetry()
        import openvino

        core = openvino.Core()
        if definition.precision == "bf16" and not _has_bf16(core):
            raise RuntimeUnsupported(
                "this CPU has no bf16 arithmetic: set the precision to f32, "
                "or the device to torch-cpu for slow bf16"
            )
        if definition.onnx is not None:
            model = read_onnx(core, definition.onnx, definition.preprocess)
        else:
            model = read_or_convert(core, definition, cache_dir)
        self._output = definition.onnx.output_index if definition.onnx else 0
        threads = threads or cores.usable()
        precision = definition.precision
        (self._together,) = _requests(core, model, precision, threads=threads, streams=1)
        self._apart = _requests(core, model, precision, threads=threads, streams=threads)

    @property
    def name(self) -> str:
        """The runtime, as metrics and logs name it."""
        return NAME

    @property
    def slots(self) -> int:
        """How many batches can run beside one another."""
        return len(self._apart)

    def infer(self, pixels: U8, slot: int | None = None) -> F32:
        """Return float32 [B, D] for uint8 [B, S, S, 3]; releases the GIL."""
        request = self._together if slot is None else self._apart[slot]
        results = request.infer({0: pixels}, share_inputs=True)
        vectors: F32 = np.array(results[self._output], dtype=np.float32)
        return vectors.reshape(len(vectors), -1)


def without_telemetry() -> None:
    """Keep OpenVINO, once imported, from reporting that to a web service.

    It forks to do so, and a process with gRPC's threads must not fork. OpenVINO
    has a stub for where its telemetry package is absent.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None says absent


def _requests(
    core: openvino.Core, model: Any, precision: str, *, threads: int, streams: int
) -> list[Any]:
    """Compile for `streams` at a time and return as many requests."""
    config = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": str(streams),
    }
    compiled = core.compile_model(model, "CPU", config)
    return [compiled.create_infer_request() for _ in range(streams)]


def _has_bf16(core: openvino.Core) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
