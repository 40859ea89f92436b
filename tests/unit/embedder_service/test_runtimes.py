"""Golden: every runtime gives the reference's vectors, in any batch."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from openvino import Core

from embedder_service.models import choice, lite, spec
from embedder_service.models.definition import ModelDefinition, ModelError
from embedder_service.preprocess import U8
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.cache import read_or_convert
from embedder_service.runtimes.choice import load_runtime, resolve_device
from embedder_service.runtimes.openvino import OpenVinoRuntime
from embedder_service.runtimes.protocol import Runtime, RuntimeUnsupported
from embedder_service.runtimes.torch_cpu import TorchCpuRuntime
from embedder_service.runtimes.torch_cuda import TorchCudaRuntime
from lookalike.wire.vectors import F32


@pytest.fixture(scope="module")
def reference(lite0: ModelDefinition, lite0_squares: U8) -> F32:
    return unit_vectors(TorchCpuRuntime(lite0).infer(lite0_squares), len(lite0_squares))


@pytest.fixture(scope="module")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `openvino` keeps its conversion, and nothing else does."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def openvino(lite0: ModelDefinition, model_cache: Path) -> Runtime:
    return OpenVinoRuntime(lite0, threads=0, cache_dir=model_cache)


def test_openvino_agrees_with_torch(openvino: Runtime, reference: F32, lite0_squares: U8) -> None:
    assert least_cosine(openvino, lite0_squares, reference) > 0.9999


def test_every_slot_agrees(openvino: Runtime, reference: F32, lite0_squares: U8) -> None:
    for slot in range(openvino.slots):
        apart = unit_vectors(openvino.infer(lite0_squares[:2], slot), 2)
        assert (apart * reference[:2]).sum(axis=1).min() > 0.9999


def test_the_batch_does_not_change_a_vector(openvino: Runtime, lite0_squares: U8) -> None:
    together = unit_vectors(openvino.infer(lite0_squares), 8)
    order = np.random.default_rng(1).permutation(8)
    shuffled = unit_vectors(openvino.infer(np.ascontiguousarray(lite0_squares[order])), 8)
    alone = np.concatenate(
        [unit_vectors(openvino.infer(lite0_squares[n : n + 1]), 1) for n in range(8)]
    )
    assert (together * alone).sum(axis=1).min() >= 0.9999
    assert (together[order] * shuffled).sum(axis=1).min() >= 0.9999


def test_bf16_on_torch_stays_near(
    lite0: ModelDefinition, reference: F32, lite0_squares: U8
) -> None:
    bf16 = TorchCpuRuntime(dataclasses.replace(lite0, precision="bf16"))
    assert least_cosine(bf16, lite0_squares[:2], reference[:2]) > 0.995


def test_bf16_on_openvino_stays_near_or_is_refused(
    lite0: ModelDefinition, reference: F32, lite0_squares: U8, tmp_path: Path
) -> None:
    definition = dataclasses.replace(lite0, precision="bf16")
    if "BF16" not in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(RuntimeUnsupported, match="precision"):
            OpenVinoRuntime(definition, threads=0, cache_dir=tmp_path)
        return
    runtime = OpenVinoRuntime(definition, threads=0, cache_dir=tmp_path)
    assert least_cosine(runtime, lite0_squares, reference) > 0.995


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize(("precision", "least"), [("f32", 0.999), ("bf16", 0.995)])
def test_cuda_agrees_with_torch_on_cpu(
    lite0: ModelDefinition, reference: F32, lite0_squares: U8, precision: str, least: float
) -> None:
    definition = dataclasses.replace(lite0, precision=precision)
    runtime = TorchCudaRuntime(definition, max_batch_images=8)
    assert least_cosine(runtime, lite0_squares, reference) > least


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_is_refused_where_there_is_none(lite0: ModelDefinition) -> None:
    assert resolve_device("auto") == "openvino"
    with pytest.raises(RuntimeUnsupported, match="no such CUDA device"):
        load_runtime(lite0, "torch-cuda", threads=0, max_batch_images=4, cache_dir=None)


def test_a_damaged_conversion_is_made_again(
    lite0: ModelDefinition, openvino: Runtime, lite0_squares: U8, model_cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(model_cache, tmp_path, dirs_exist_ok=True)
    (weights,) = tmp_path.glob("openvino-*/model.bin")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000] + bytes(1000) + whole[2000:])
    again = OpenVinoRuntime(lite0, threads=0, cache_dir=tmp_path)
    assert weights.read_bytes() == whole
    first = unit_vectors(openvino.infer(lite0_squares), 8)
    assert least_cosine(again, lite0_squares, first) > 0.9999


@pytest.mark.usefixtures("openvino")
def test_the_locale_does_not_change_a_conversion(
    lite0: ModelDefinition, model_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where the capital of i is none of ASCII's, names of operations came out broken.
    turkish = tmp_path / "tr_TR.ISO-8859-9"
    if localedef := shutil.which("localedef"):
        subprocess.run([localedef, "-i", "tr_TR", "-f", "ISO-8859-9", turkish], check=False)
    if not turkish.exists():
        pytest.skip("this machine cannot make a Turkish locale")
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", turkish.name)
    read_or_convert(Core(), lite0, tmp_path / "models")
    (usual,) = model_cache.glob("openvino-*/model.xml")
    (made,) = tmp_path.glob("models/openvino-*/model.xml")
    assert made.read_bytes() == usual.read_bytes()


def test_weights_that_were_changed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "efficientnet-lite0"
    copy = tmp_path / lite._RELEASES[name].package / lite._RELEASES[name].file
    copy.parent.mkdir(parents=True)
    data = bytearray(lite.weights_path(name).read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    (copy.parents[1] / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError, match="reinstall"):
        choice.define(spec.parse(name), "f32")


def least_cosine(runtime: Runtime, squares: U8, wanted: F32) -> float:
    vectors = unit_vectors(runtime.infer(squares), len(squares))
    return float((vectors * wanted).sum(axis=1).min())
