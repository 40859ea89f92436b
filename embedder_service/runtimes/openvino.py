"""OpenVINO on CPU: the default, four times as fast as torch in f32."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedder_service.models.definition import ModelDefinition
from embedder_service.preprocess import U8
from embedder_service.runtimes.protocol import RuntimeUnsupported
from lookalike.wire.vectors import F32

if TYPE_CHECKING:
    import openvino

_log = logging.getLogger(__name__)

NAME = "openvino"

# Counts up when conversion changes what it writes.
_CONVERSION_VERSION = 1
_MODEL_FILE = "model.xml"
_FILES = (_MODEL_FILE, "model.bin")
_MANIFEST = "manifest.json"


class OpenVinoRuntime:
    """A compiled model. The precision is set, never left to OpenVINO's choice."""

    def __init__(
        self, definition: ModelDefinition, *, threads: int, cache_dir: Path | None
    ) -> None:
        """Convert, or read the cached conversion, and compile.

        Raises:
            RuntimeUnsupported: the precision is not one of this CPU's.
            ModelError: the weights cannot be loaded.
        """
        import openvino

        core = openvino.Core()
        if definition.precision == "bf16" and not _has_bf16(core):
            raise RuntimeUnsupported(
                "this CPU has no bf16 arithmetic: set the precision to f32, "
                "or the device to torch-cpu for slow bf16"
            )
        model = _cached(core, definition, cache_dir) if cache_dir else _convert(definition)
        config = {
            "INFERENCE_PRECISION_HINT": definition.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }
        if threads:
            config["INFERENCE_NUM_THREADS"] = str(threads)
        self._compiled: Any = core.compile_model(model, "CPU", config)
        self._request: Any = self._compiled.create_infer_request()

    @property
    def name(self) -> str:
        return NAME

    def infer(self, pixels: U8) -> F32:
        """Return float32 [B, D] for uint8 [B, S, S, 3]; releases the GIL."""
        results = self._request.infer({0: pixels}, share_inputs=True)
        vectors: F32 = np.array(results[0], dtype=np.float32)
        return vectors


def _has_bf16(core: openvino.Core) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _convert(definition: ModelDefinition) -> Any:
    import openvino
    import torch

    size = definition.preprocess.size_px
    shape = openvino.PartialShape([-1, size, size, 3])
    example = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    with torch.inference_mode():
        return openvino.convert_model(definition.build(), example_input=example, input=[shape])


def _cached(core: openvino.Core, definition: ModelDefinition, cache_dir: Path) -> Any:
    """Return the model from the cache, converting and storing it on a miss."""
    folder = cache_dir / f"openvino-{_cache_key(definition)}"
    if _is_intact(folder):
        return core.read_model(folder / _MODEL_FILE)
    model = _convert(definition)
    try:
        _store(model, folder)
    except OSError as error:
        # A cache that cannot be written costs seconds at the next start, no more.
        _log.warning("cannot cache the conversion", extra={"cause": error.strerror})
    return model


def _cache_key(definition: ModelDefinition) -> str:
    import openvino

    parts = (definition.fingerprint, openvino.get_version(), str(_CONVERSION_VERSION))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _is_intact(folder: Path) -> bool:
    """Tell whether every file has the hash that it was stored with."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        hashes = {name: _hash(folder / name) for name in _FILES}
    except (OSError, ValueError):
        return False
    return bool(manifest == hashes)


def _store(model: Any, folder: Path) -> None:
    """Write beside the final place and rename, so that no reader sees a part."""
    import openvino

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".openvino-", dir=folder.parent))
    try:
        openvino.save_model(model, temporary / _MODEL_FILE, compress_to_fp16=False)
        hashes = {name: _hash(temporary / name) for name in _FILES}
        (temporary / _MANIFEST).write_text(json.dumps(hashes))
        if folder.exists():  # damaged, else it would have been read
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
