"""A torch module as an OpenVINO model: a process of its own.

It needs torch and several times the memory of the weights, and a server whose
models are converted never loads torch at all. See `embedder_service.runtimes.cache`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition, ModelError

# The exit status that says: the last line is what to tell the user.
REFUSED = 3


def main(arguments: Sequence[str]) -> int:
    """Convert the model of a spec, at a precision, into a file."""
    text, precision, file = arguments
    try:
        definition = define(spec.parse(text), precision)
        convert(definition, file)
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return 0


def convert(definition: ModelDefinition, file: str) -> None:
    """Write the OpenVINO model of `definition`, for uint8 [B, S, S, 3], to `file`.

    The frontend is called directly: `openvino.convert_model` reports each use to
    a web service, and forks to do so.

    Raises:
        ModelError: the weights cannot be loaded.
    """
    size = definition.preprocess.size_px
    example = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    # torch.jit is deprecated, and what this frontend reads.
    warnings.simplefilter("ignore")
    with torch.inference_mode():
        trace: Any = torch.jit.trace
        frozen = torch.jit.freeze(trace(definition.build(), example, check_trace=False))
        # The model reads from the decoder until it is written: keep a reference.
        decoder = TorchScriptPythonDecoder(frozen)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    pixels = model.inputs[0].get_node()
    pixels.set_element_type(openvino.Type.u8)
    pixels.set_partial_shape(openvino.PartialShape([-1, size, size, 3]))
    model.validate_nodes_and_infer_types()
    openvino.save_model(model, file, compress_to_fp16=False)
