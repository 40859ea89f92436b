"""ONNX files as models: what a file cannot say of its input, options do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NoReturn

from embedder_service.models.definition import OWN_POOLING, ModelDefinition, ModelError
from embedder_service.models.onnx_graph import OnnxGraph, read_graph
from embedder_service.models.shapes import shaped
from embedder_service.models.spec import ModelSpec
from embedder_service.preprocess import Preprocess

# What most networks for photographs were trained with: ImageNet's statistics.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_CROP_PCT = 0.875


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
    crop_pct = options.crop_pct or _CROP_PCT
    red, green, blue = (value * 255.0 for value in options.mean or _MEAN)
    red_std, green_std, blue_std = (value * 255.0 for value in options.std or _STD)
    return Preprocess(
        size_px=graph.size_px,
        crop_fraction=crop_pct,
        resize_filter=options.filter or "bicubic",
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        fit="center",
        # As timm computes it.
        resize_px=math.floor(graph.size_px / crop_pct),
        as_stored=True,
    )
