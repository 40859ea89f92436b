"""What an ONNX file takes and gives, read from its header without running it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedder_service.models.definition import ModelError
from embedder_service.models.options import ModelOptions

# Types of the input and output, by what the ONNX standard calls them.
_INPUT_TYPES = {"FLOAT": "f32", "FLOAT16": "f16", "UINT8": "u8"}
_OUTPUT_TYPES = ("FLOAT", "FLOAT16", "DOUBLE")
_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """One picture in, one vector out.

    `layout` is "NCHW" or "NHWC", `input_type` "f32", "f16" or "u8". `batch` is the
    number of pictures that the file fixes, 0 for any. `outputs` names all of them in
    the file's order, `output` the one that is the vector.
    """

    path: Path
    input: str
    layout: str
    input_type: str
    size_px: int
    batch: int
    outputs: tuple[str, ...]
    output: str
    dimension: int

    @property
    def output_index(self) -> int:
        """Where the vector stands among the outputs."""
        return self.outputs.index(self.output)


def read_graph(path: Path, options: ModelOptions) -> tuple[OnnxGraph, str]:
    """Return what `path` takes and gives, and the hash of the file with its weights.

    Raises:
        ModelError: no ONNX file, or not one picture in and one vector out; the
            message says what to write or to export.
    """
    model = _loaded(path)
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    if len(inputs) != 1:
        raise ModelError(
            f"{path} takes {len(inputs)} inputs ({_names(inputs)}), not pictures alone: "
            "export the image tower by itself"
        )
    layout, input_type, size_px, batch = _read_input(path, inputs[0], options)
    sha256 = _sha256(path, model)
    output = _chosen(path, _sized(path, model, layout, size_px), options.output)
    dimension = _dimension(path, output)
    graph = OnnxGraph(
        path=path,
        input=inputs[0].name,
        layout=layout,
        input_type=input_type,
        size_px=size_px,
        batch=batch,
        outputs=tuple(each.name for each in model.graph.output),
        output=output.name,
        dimension=dimension,
    )
    return graph, sha256


def _loaded(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ModelError("onnx is not installed: pip install 'lookalike[onnx]'") from error
    if not path.is_file():
        raise ModelError(f"cannot read the model file {path}: no such file")
    try:
        return onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ModelError(f"cannot read the model file {path}: {error.strerror}") from error
    except Exception as error:  # protobuf's and onnx's own, which share no base
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} is no usable ONNX file: {cause}") from error


def _read_input(path: Path, value: Any, options: ModelOptions) -> tuple[str, str, int, int]:
    kind, shape = _type_of(value), _shape_of(value)
    if kind not in _INPUT_TYPES or shape is None or len(shape) != 4:
        raise ModelError(
            f"{path} takes {value.name}, {kind} {_written(shape)}; a picture is FLOAT, FLOAT16 or "
            "UINT8 [batch, 3, side, side] or [batch, side, side, 3]"
        )
    batch, *rest = shape
    layout = "NHWC" if rest[2] == _CHANNELS and rest[0] != _CHANNELS else "NCHW"
    channels = rest[2] if layout == "NHWC" else rest[0]
    height, width = rest[:2] if layout == "NHWC" else rest[1:]
    if channels not in (_CHANNELS, 0):
        raise ModelError(f"{path} takes {value.name} {_written(shape)}: not the 3 channels of RGB")
    sides = {side for side in (height, width) if side}
    if options.size is not None:
        sides.add(options.size)
    if not sides:
        raise ModelError(f"{path} takes pictures of any size: write @size:PIXELS, as in @size:224")
    if len(sides) > 1:
        wanted = f", which is not @size:{options.size}" if options.size else ": not square"
        raise ModelError(f"{path} takes {value.name} {_written(shape)}{wanted}")
    return layout, _INPUT_TYPES[kind], sides.pop(), batch


def _sized(path: Path, model: Any, layout: str, size_px: int) -> Any:
    """Return `model` for one picture of `size_px`, with the shapes that follow from that."""
    import onnx

    weights = {each.name for each in model.graph.initializer}
    (value,) = (each for each in model.graph.input if each.name not in weights)
    sides = [1, _CHANNELS, size_px, size_px] if layout == "NCHW" else [1, size_px, size_px, 3]
    for dim, side in zip(value.type.tensor_type.shape.dim, sides, strict=True):
        dim.dim_value = dim.dim_value or side
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (RuntimeError, ValueError) as error:
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} is no usable ONNX file: {cause}") from error


def _chosen(path: Path, model: Any, name: str) -> Any:
    outputs = list(model.graph.output)
    listed = "; ".join(f"{each.name} {_written(_shape_of(each))}" for each in outputs)
    if name:
        for output in outputs:
            if output.name == name:
                return output
        raise ModelError(f"{path} has no output {name}, but {listed}")
    if len(outputs) != 1:
        raise ModelError(
            f"{path} has {len(outputs)} outputs ({listed}): name the vector with @output:NAME"
        )
    return outputs[0]


def _dimension(path: Path, output: Any) -> int:
    """Return the length of the vector."""
    kind, shape = _type_of(output), _shape_of(output)
    told = f"{path} gives {output.name}, {kind} {_written(shape)}"
    if kind not in _OUTPUT_TYPES:
        raise ModelError(f"{told}: a vector is of numbers with a fraction")
    if shape is None:
        raise ModelError(f"{told}: export it with the shape of its output")
    if len(shape) < 2:
        raise ModelError(f"{told}: one vector a picture is [batch, dimensions]")
    long = [side for side in shape[1:] if side != 1]
    if len(long) != 1:
        raise ModelError(
            f"{told}: not one vector a picture, [batch, dimensions]; export it with its pooling"
        )
    if not long[0]:
        raise ModelError(f"{told}: export it with the length of its vector")
    return long[0]


def _type_of(value: Any) -> str:
    import onnx

    return str(onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type))


def _shape_of(value: Any) -> list[int] | None:
    """Return the shape with 0 for what may vary; None where the file says nothing."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [max(0, int(each.dim_value)) for each in tensor.shape.dim]


def _written(shape: list[int] | None) -> str:
    if shape is None:
        return "of unknown shape"
    return f"[{', '.join(str(side) if side else '?' for side in shape)}]"


def _names(values: list[Any]) -> str:
    return ", ".join(each.name for each in values) or "none"


def _sha256(path: Path, model: Any) -> str:
    """Hash the file, and after it those that hold its weights, by name."""
    places = {
        entry.value
        for tensor in _tensors(model.graph)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    digest = hashlib.sha256()
    for file in (path, *(path.parent / place for place in sorted(places))):
        try:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise ModelError(f"cannot read the weights file {file}: {error.strerror}") from error
    return digest.hexdigest()


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every tensor that a graph and those within it hold."""
    yield from graph.initializer
    for attribute in (each for node in graph.node for each in node.attribute):
        yield attribute.t
        yield from attribute.tensors
        for inner in (attribute.g, *attribute.graphs):
            if inner.node or inner.initializer:
                yield from _tensors(inner)
