"""ONNX files: the vectors of the network in them, by both runtimes; the rest is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition, ModelError
from embedder_service.preprocess import U8
from embedder_service.runtimes.choice import load_runtime
from embedder_service.runtimes.protocol import RuntimeUnsupported

DEVICES = ("openvino", "onnxruntime-cpu")
WEIGHTS = np.random.default_rng(0).standard_normal((24, 3, 5, 5)).astype(np.float32)
Shape = list[int | str | None]


def write(
    path: Path,
    *,
    input_shape: Shape | None = None,
    input_type: int = TensorProto.FLOAT,
    outputs: dict[str, Shape | None] | None = None,
    external: bool = False,
) -> Path:
    """Write a network of one convolution, its map ("map"), and its pooled output ("vector")."""
    shape = input_shape or ["batch", 3, "height", "width"]
    f16 = input_type == TensorProto.FLOAT16
    weights = WEIGHTS.astype(np.float16) if f16 else WEIGHTS
    nodes = []
    pixels = "x"
    if input_type == TensorProto.UINT8:
        nodes.append(helper.make_node("Cast", [pixels], ["wide"], to=TensorProto.FLOAT))
        pixels = "wide"
    if shape[1] != 3:
        nodes.append(helper.make_node("Transpose", [pixels], ["nchw"], perm=[0, 3, 1, 2]))
        pixels = "nchw"
    nodes += [
        helper.make_node("Conv", [pixels, "w"], ["conv"], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"]),
        helper.make_node("ArgMax", ["vector"], ["label"], axis=1),
    ]
    out_type = TensorProto.FLOAT16 if f16 else TensorProto.FLOAT
    made = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if name == "label" else out_type, out_shape
        )
        for name, out_shape in (outputs or {"vector": ["batch", 24]}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", input_type, shape)],
        made,
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(
        model, path, save_as_external_data=external, location="net.weights", size_threshold=0
    )
    return path


def pixels(images: int, size_px: int = 64) -> U8:
    return np.random.default_rng(1).integers(0, 256, (images, size_px, size_px, 3), dtype=np.uint8)


def expected(given: U8, mean: float | np.ndarray = 0.5, std: float | np.ndarray = 0.25) -> Any:
    x = torch.from_numpy(((given / 255 - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
    maps = torch.nn.functional.conv2d(x, torch.from_numpy(WEIGHTS), stride=2).relu()
    return maps.mean(dim=(2, 3)).numpy()


def infer(definition: ModelDefinition, device: str, given: U8) -> Any:
    runtime = load_runtime(definition, device, threads=1, max_batch_images=8, cache_dir=None)
    return runtime.infer(given)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        (["batch", 3, "height", "width"], "@size:64"),
        (["batch", 3, 64, 64], ""),
        (["batch", 64, 64, 3], ""),
        ([1, 3, 64, 64], ""),
        ([4, 3, 64, 64], "@size:64"),
        ([None, None, None, None], "@size:64"),
    ],
)
def test_the_vector_is_the_networks(
    shape: Shape, options: str, device: str, tmp_path: Path
) -> None:
    if shape[1] is None:
        # Nothing says which axis holds the channels: the usual one.
        shape = ["batch", 3, None, None]
    path = write(tmp_path / "net.onnx", input_shape=shape)
    definition = define(spec.parse(f"onnx:{path}@mean:0.5@std:0.25{options}"), "f32")
    assert (definition.dimension, definition.preprocess.size_px) == (24, 64)
    given = pixels(5)
    np.testing.assert_allclose(infer(definition, device, given), expected(given), rtol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_statistics_are_imagenets_unless_others_are_named(device: str, tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx")
    definition = define(spec.parse(f"onnx:{path}@size:64"), "f32")
    given = pixels(2)
    wanted = expected(given, np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
    np.testing.assert_allclose(infer(definition, device, given), wanted, rtol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_files_of_bytes_and_of_half_precision_are_run(device: str, tmp_path: Path) -> None:
    given = pixels(2)
    bytes_in = write(tmp_path / "u8.onnx", input_type=TensorProto.UINT8)
    definition = define(spec.parse(f"onnx:{bytes_in}@size:64"), "f32")
    wanted = expected(given, 0.0, 1 / 255)
    np.testing.assert_allclose(infer(definition, device, given), wanted, rtol=1e-3)
    half = write(tmp_path / "f16.onnx", input_type=TensorProto.FLOAT16)
    definition = define(spec.parse(f"onnx:{half}@size:64@mean:0.5@std:0.25"), "f32")
    np.testing.assert_allclose(infer(definition, device, given), expected(given), rtol=0.02)


@pytest.mark.parametrize("device", DEVICES)
def test_weights_beside_the_file_are_read_and_hashed(device: str, tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", external=True)
    text = f"onnx:{path}@size:64@mean:0.5@std:0.25"
    definition = define(spec.parse(text), "f32")
    given = pixels(1)
    np.testing.assert_allclose(infer(definition, device, given), expected(given), rtol=1e-3)
    beside = tmp_path / "net.weights"
    beside.write_bytes(bytes(reversed(beside.read_bytes())))
    assert define(spec.parse(text), "f32").fingerprint != definition.fingerprint
    beside.unlink()
    with pytest.raises(ModelError, match=r"net\.weights: No such file"):
        define(spec.parse(text), "f32")


@pytest.mark.parametrize("device", DEVICES)
def test_one_of_several_outputs_is_named(device: str, tmp_path: Path) -> None:
    outputs: dict[str, Shape | None] = {"map": ["batch", 24, 30, 30], "vector": ["batch", 24]}
    path = write(tmp_path / "two.onnx", outputs=outputs)
    with pytest.raises(ModelError, match=r"2 outputs \(map .*vector \[.*24\]\).*@output:NAME"):
        define(spec.parse(f"onnx:{path}@size:64"), "f32")
    text = f"onnx:{path}@size:64@mean:0.5@std:0.25@output:vector"
    definition = define(spec.parse(text), "f32")
    given = pixels(3)
    np.testing.assert_allclose(infer(definition, device, given), expected(given), rtol=1e-3)


def test_a_vector_of_one_position_and_one_of_unknown_length_are_found(tmp_path: Path) -> None:
    flat = write(tmp_path / "flat.onnx", outputs={"pooled": ["batch", 24, 1, 1]})
    unknown = write(tmp_path / "unknown.onnx", outputs={"vector": ["batch", "length"]})
    silent = write(tmp_path / "silent.onnx", outputs={"vector": None})
    for path in (flat, unknown, silent):
        definition = define(spec.parse(f"onnx:{path}@size:64@mean:0.5@std:0.25"), "f32")
        assert definition.dimension == 24
        given = pixels(2)
        for device in DEVICES:
            np.testing.assert_allclose(infer(definition, device, given), expected(given), rtol=1e-3)


@pytest.mark.parametrize(
    ("made", "options", "told"),
    [
        ({}, "", "pictures of any size: write @size:PIXELS"),
        ({"input_shape": ["batch", 3, 64, 64]}, "@size:32", "which is not @size:32"),
        ({"input_shape": ["batch", 3, 64, 32]}, "", "not square"),
        ({"input_shape": ["batch", 1, 64, 64]}, "", "not the 3 channels"),
        ({"input_shape": [3, 64, 64]}, "", r"takes x, FLOAT \[3, 64, 64\]"),
        ({"input_type": TensorProto.INT64}, "", "takes x, INT64"),
        ({"outputs": {"map": None}}, "@size:64", r"map, FLOAT \[1, 24, 30, 30\]: not one vector"),
        ({"outputs": {"label": None}}, "@size:64", "label, INT64 .*numbers with a fraction"),
        ({}, "@size:64@output:embedding", "no output embedding, but vector"),
        ({"input_type": TensorProto.UINT8}, "@size:64@mean:0.5", "leave @mean, @std away"),
    ],
)
def test_what_is_not_one_picture_and_one_vector_is_refused(
    made: dict[str, Any], options: str, told: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "net.onnx", **made)
    with pytest.raises(ModelError, match=told) as refused:
        define(spec.parse(f"onnx:{path}{options}"), "f32")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08\x12\x07pytorch"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.onnx"):
        define(spec.parse(f"onnx:{tmp_path}/x.onnx"), "f32")
    with pytest.raises(ModelError, match="no such file"):
        define(spec.parse(f"onnx:{tmp_path}/y.onnx"), "f32")


def test_everything_said_of_a_file_is_in_the_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", input_shape=["batch", 3, "height", "width"])
    options = (
        *("@size:64", "@size:96", "@size:64@mean:0.4", "@size:64@std:0.4", "@size:64@pad"),
        *("@size:64@squash", "@size:64@crop_pct:1", "@size:64@filter:bilinear"),
    )
    marks = {define(spec.parse(f"onnx:{path}{each}"), "f32").fingerprint for each in options}
    assert len(marks) == len(options)
    definition = define(spec.parse(f"onnx:{path}@size:64"), "f32")
    assert definition.name == "onnx:net.onnx@size:64"
    assert define(spec.parse(definition.spec_text), "f32").fingerprint == definition.fingerprint


def test_devices_that_cannot_run_it_are_refused(lite0: ModelDefinition, tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx")
    definition = define(spec.parse(f"onnx:{path}@size:64"), "f32")
    for refused, device, told in (
        (definition, "torch-cpu", "set the device to openvino or onnxruntime-cpu"),
        (lite0, "onnxruntime-cpu", "is no ONNX file: set the device to cpu or cuda"),
        (dataclasses.replace(definition, precision="bf16"), "onnxruntime-cpu", "set f32"),
    ):
        with pytest.raises(RuntimeUnsupported, match=told):
            load_runtime(refused, device, threads=1, max_batch_images=1, cache_dir=None)


@pytest.mark.parametrize("device", ["torch-cuda", "onnxruntime-cuda"])
def test_cuda_runs_it_or_says_what_is_missing(device: str, tmp_path: Path) -> None:
    import onnxruntime

    path = write(tmp_path / "net.onnx")
    definition = define(spec.parse(f"onnx:{path}@size:64@mean:0.5@std:0.25"), "f32")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(RuntimeUnsupported, match="pip install onnxruntime-gpu"):
            infer(definition, device, pixels(1))
        return
    given = pixels(2)
    np.testing.assert_allclose(infer(definition, device, given), expected(given), rtol=1e-3)


def test_a_network_that_torch_exports_is_served(tmp_path: Path) -> None:
    import warnings

    import timm

    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    path = tmp_path / "vit.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(1, 3, 224, 224),), str(path), dynamo=False,
            input_names=["pixels"], output_names=["vector"], dynamic_axes={"pixels": {0: "n"}},
        )  # fmt: skip
    definition = define(spec.parse(f"onnx:{path}@mean:0.5@std:0.5"), "f32")
    assert definition.dimension == 192
    given = pixels(3, 224)
    with torch.inference_mode():
        scaled = (torch.from_numpy(given).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
        wanted = network(scaled).numpy()
    for device in DEVICES:
        np.testing.assert_allclose(infer(definition, device, given), wanted, atol=2e-3)
