"""ONNX files as models: what a file cannot say of its input, options do."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from embedder_service.models.definition import OWN_POOLING, ModelDefinition, ModelError
from embedder_service.models.onnx_graph import OnnxGraph, read_graph
from embedder_service.models.shapes import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    USUAL_CROP,
    as_libraries,
    shaped,
)
from embedder_service.models.spec import ModelSpec
from embedder_service.preprocess import Preprocess


def define_onnx_model(spec: ModelSpec, precision: str) -> ModelDefinition:
    """Return the definition of `onnx:FILE`.

    Raises:
        ModelError: it cannot be read, or is not one picture in and one vector out.
    """
    graph, weights_sha256 = read_graph(Path(spec.architecture), spec.options)
    if graph.input_type == "u8" and (spec.options.mean or spec.options.std):
        raise ModelError(f"{graph.path} takes bytes and scales them itself: leave @mean, @std away")

    def build() -> NoReturn:
        raise ModelError(f"{graph.path} is no torch module")

    return ModelDefinition(
        name=spec.name,
        spec_text=spec.text,
        architecture=f"onnx:{graph.output}",
        weights_sha256=weights_sha256,
        preprocess=shaped(_preprocess(graph, spec), spec.options.shape),
        pooling=OWN_POOLING,
        dimension=graph.dimension,
        precision=precision,
        build=build,
        onnx=graph,
    )


def _preprocess(graph: OnnxGraph, spec: ModelSpec) -> Preprocess:
    options = spec.options
    return as_libraries(
        graph.size_px,
        mean=options.mean or IMAGENET_MEAN,
        std=options.std or IMAGENET_STD,
        crop_pct=options.crop_pct or USUAL_CROP,
        resize_filter=options.filter or "bicubic",
    )
