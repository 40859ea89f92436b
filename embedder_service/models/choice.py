"""Which definition a spec stands for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from embedder_service.models import faces, lite, style
from embedder_service.models.definition import ModelDefinition
from embedder_service.models.onnx_models import define_onnx_model
from embedder_service.models.projected import projected
from embedder_service.models.spec import ModelSpec


def define(spec: ModelSpec, precision: str) -> ModelDefinition:
    """Return the definition of `spec`; weights are read but not yet loaded.

    Raises:
        ModelError: it cannot be served, and what to change.
    """
    own = _define(spec, precision)
    if spec.options.ground:
        own = replace(own, preprocess=replace(own.preprocess, ground=spec.options.ground))
    if spec.options.projection is None:
        return own
    return projected(own, spec.options.projection)


def _define(spec: ModelSpec, precision: str) -> ModelDefinition:
    if not spec.library:
        return lite.define(spec.architecture, spec.options, precision)
    if spec.library == "style":
        return style.define(spec.architecture, spec.options, precision)
    if spec.library == "faces":
        return faces.define(Path(spec.architecture), spec.options, precision)
    if spec.library == "onnx":
        return define_onnx_model(spec, precision)
    if spec.library == "openclip":
        from embedder_service.models.openclip_models import define_openclip_model

        return define_openclip_model(spec, precision)
    # Imports torch, which a server with a cached conversion starts without.
    from embedder_service.models.library import define_library_model

    return define_library_model(spec, precision)
