"""An ONNX file as an OpenVINO model that takes the pixels of the other models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedder_service.models.definition import ModelError
from embedder_service.models.onnx_graph import OnnxGraph
from embedder_service.preprocess import Preprocess

if TYPE_CHECKING:
    import openvino


def read_onnx(core: openvino.Core, graph: OnnxGraph, prepare: Preprocess) -> Any:
    """Return the `openvino.Model`: uint8 [B, S, S, 3] in; scaling is part of it.

    Raises:
        ModelError: OpenVINO cannot read the file.
    """
    from openvino import Layout, PartialShape, Type
    from openvino.preprocess import PrePostProcessor

    kinds = {"f32": Type.f32, "f16": Type.f16, "u8": Type.u8}
    size_px, batch = graph.size_px, graph.batch or -1
    sides = [3, size_px, size_px] if graph.layout == "NCHW" else [size_px, size_px, 3]
    try:
        model = core.read_model(graph.path)
        model.reshape({graph.input: PartialShape([batch, *sides])})
        steps = PrePostProcessor(model)
        picture = steps.input(graph.input)
        picture.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
        picture.model().set_layout(Layout(graph.layout))
        if graph.input_type != "u8":
            scaled = picture.preprocess().convert_element_type(Type.f32)
            scaled = scaled.mean(list(prepare.mean)).scale(list(prepare.std))
            scaled.convert_element_type(kinds[graph.input_type])
        steps.output(graph.output).tensor().set_element_type(Type.f32)
        return steps.build()
    except RuntimeError as error:
        cause = (str(error).strip().splitlines() or ["no message"])[-1]
        raise ModelError(
            f"OpenVINO cannot read {graph.path}: {cause}; set the device to onnxruntime-cpu"
        ) from error
