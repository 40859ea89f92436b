"""The same network and preprocessing for every peer."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition
from embedder_service.preprocess import U8
from embedder_service.runtimes.openvino import OpenVinoRuntime
from embedder_service.runtimes.protocol import Runtime
from embedder_service.runtimes.torch_cpu import TorchCpuRuntime
from lookalike.wire.vectors import F32
from tests.bench.embed.run import MODEL, WORK


class TorchNetwork:
    """Files to unit vectors with torch eager in channels-last layout, f32."""

    def __init__(self) -> None:
        self._definition = _definition()
        self._runtime: Runtime = TorchCpuRuntime(self._definition)

    def embed(self, files: Sequence[bytes]) -> F32:
        """Return float32 [B, D], unit L2."""
        return _embed(self._runtime, self._definition, files)


class OpenVinoNetwork:
    """Files to unit vectors with OpenVINO, f32."""

    def __init__(self) -> None:
        self._definition = _definition()
        self._runtime = OpenVinoRuntime(self._definition, threads=0, cache_dir=WORK / "models")

    def embed(self, files: Sequence[bytes]) -> F32:
        """Return float32 [B, D], unit L2."""
        return _embed(self._runtime, self._definition, files)


def _definition() -> ModelDefinition:
    return define(spec.parse(MODEL), "f32")


def _embed(runtime: Runtime, definition: ModelDefinition, files: Sequence[bytes]) -> F32:
    features = runtime.infer(np.stack([_decode(definition, data) for data in files]))
    vectors: F32 = features / np.linalg.norm(features, axis=1, keepdims=True)
    return vectors


def _decode(definition: ModelDefinition, data: bytes) -> U8:
    prepare = definition.preprocess
    return prepare.square(Image.open(io.BytesIO(data)).convert("RGB"))
