"""Checkpoints as training programs write them are read; what does not fit is named."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from embedder_service.models.checkpoint import fill
from embedder_service.models.definition import ModelError

State = dict[str, Tensor]
NAME = "timm:resnet18"


@pytest.fixture(scope="module")
def trained() -> State:
    torch.manual_seed(3)
    return dict(timm.create_model("resnet18").state_dict())


def backbone(architecture: str = "resnet18") -> nn.Module:
    torch.manual_seed(9)
    model: Any = timm.create_model(architecture)
    model.fc = nn.Identity()
    network: nn.Module = model
    return network


def with_prefix(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def with_head(state: State, classes: int) -> State:
    return {**state, "fc.weight": torch.zeros(classes, 512), "fc.bias": torch.zeros(classes)}


def with_mlp_head(state: State) -> State:
    body = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    return {**body, "fc.0.weight": torch.zeros(64, 512), "fc.3.weight": torch.zeros(5, 64)}


def within(state: State, name: str) -> State:
    return {key.replace("layer1.0.", f"layer1.0.{name}."): tensor for key, tensor in state.items()}


CHECKPOINTS: dict[str, Callable[[State], object]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    "averaged first": lambda state: {
        "state_dict": {name: tensor * 0 for name, tensor in state.items()},
        "state_dict_ema": state,
    },
    "model_ema": lambda state: {"model_ema": {"state_dict": state, "decay": 0.9}},
    "two deep": lambda state: {"checkpoint": {"model": state}},
    "name of its own": lambda state: {"my_net": state, "optimizer": {0: {"m": torch.ones(2)}}},
    "module.": lambda state: with_prefix(state, "module."),
    "_orig_mod.": lambda state: with_prefix(state, "_orig_mod."),
    "backbone.": lambda state: {
        **with_prefix(state, "backbone."),
        "neck.weight": torch.zeros(4, 512),
    },
    "model. in state_dict": lambda state: {"state_dict": with_prefix(state, "model.")},
    "all of them": lambda state: {
        "state_dict": with_prefix(state, "module._orig_mod.model.backbone.")
    },
    "compiled within": lambda state: within(state, "_orig_mod"),
    "head of 7": lambda state: with_head(state, 7),
    "head of 20,000": lambda state: {"model": with_prefix(with_head(state, 20_000), "module.")},
    "head of several layers": with_mlp_head,
    "head of a loss": lambda state: {**state, "arcface.weight": torch.zeros(9, 512)},
    "no head": lambda state: {k: v for k, v in state.items() if not k.startswith("fc.")},
    "no counters": lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
    "arguments beside": lambda state: {
        "state_dict": state,
        "args": argparse.Namespace(lr=0.1),
        "where": Path("runs/7"),
        "loss": nn.CrossEntropyLoss(),
    },
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
@pytest.mark.parametrize("suffix", [".pth", ".bin"])
def test_usual_checkpoints_are_read(kind: str, suffix: str, trained: State, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save(CHECKPOINTS[kind](trained), path)
    assert_filled(path, trained)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_single(dtype: torch.dtype, trained: State, tmp_path: Path) -> None:
    half = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in trained.items()
    }
    save_file(with_prefix(half, "model."), tmp_path / "half.safetensors")
    assert_filled(
        tmp_path / "half.safetensors", {name: t.to(trained[name].dtype) for name, t in half.items()}
    )


def test_the_format_before_zip_is_read(trained: State, tmp_path: Path) -> None:
    torch.save({"model": trained}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_filled(tmp_path / "old.pth", trained)


def test_the_content_tells_what_a_file_is(trained: State, tmp_path: Path) -> None:
    save_file(trained, tmp_path / "renamed.bin")
    assert_filled(tmp_path / "renamed.bin", trained)


def test_a_publishers_own_names_are_converted_as_the_library_does(tmp_path: Path) -> None:
    name = "vit_tiny_patch16_224"
    torch.manual_seed(3)
    model: Any = timm.create_model(name)
    published = {
        # As DINOv2's and MAE's files have it: for training with masked patches.
        **{key: tensor for key, tensor in model.state_dict().items() if "head" not in key},
        "mask_token": torch.zeros(1, 192),
    }
    torch.save(published, tmp_path / "vit.pth")
    network: Any = timm.create_model(name)
    network.head = nn.Identity()
    fill(network, tmp_path / "vit.pth", heads=("head",), name=name)
    torch.testing.assert_close(network.state_dict()["pos_embed"], model.state_dict()["pos_embed"])


def assert_filled(path: Path, wanted: State) -> None:
    network = backbone()
    fill(network, path, heads=("fc",), name=NAME)
    filled = network.state_dict()
    assert not any(name.startswith("fc.") for name in filled)
    for name, tensor in filled.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, wanted[name]), name


@pytest.mark.parametrize(
    ("architecture", "told"),
    [
        ("resnet34", r"missing: layer1\.2\.conv1\.weight \[64, 64, 3, 3\]"),
        (
            "resnet10t",
            r"unknown to the network: .*have another shape: \w+\S+ \[.*\] where the network has \[",
        ),
        (
            "convnext_atto",
            r"missing: stem\.0\.weight \[40, 3, 4, 4\].*unknown to the network: conv1",
        ),
    ],
)
def test_a_misfit_names_what_differs_first(
    architecture: str, told: str, trained: State, tmp_path: Path
) -> None:
    torch.save(trained, tmp_path / "weights.pth")
    network: Any = timm.create_model(architecture)
    with pytest.raises(ModelError, match=told) as refused:
        fill(
            network, tmp_path / "weights.pth", heads=("fc", "head.fc"), name=f"timm:{architecture}"
        )
    assert "\n" not in str(refused.value)
    assert str(tmp_path / "weights.pth") in str(refused.value)


def test_layers_too_many_are_no_head(trained: State, tmp_path: Path) -> None:
    torch.save({**trained, "layer5.0.weight": torch.ones(1)}, tmp_path / "more.pth")
    with pytest.raises(ModelError, match=r"unknown to the network: layer5\.0\.weight \[1\]"):
        fill(backbone(), tmp_path / "more.pth", heads=("fc",), name=NAME)


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "executed")


def test_pickled_code_is_not_executed(trained: State, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    torch.save({"state_dict": trained, "extra": Hostile(mark)}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps({"model": Hostile(mark)}))
    for name in ("zip.pth", "bare.pth"):
        with pytest.raises(ModelError, match=name):
            fill(backbone(), tmp_path / name, heads=("fc",), name=NAME)
    assert not mark.exists()
    assert pickle.loads(pickle.dumps(Hostile(mark)))  # it would have, loaded as it is
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "torn.pth"), (b"PK\x03\x04 cut", "torn.pth"), (b"no weights at all", "torn.pth")],
)
def test_files_that_hold_none_are_refused(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "torn.pth").write_bytes(content)
    with pytest.raises(ModelError, match=told) as refused:
        fill(backbone(), tmp_path / "torn.pth", heads=("fc",), name=NAME)
    assert "\n" not in str(refused.value)


def test_a_whole_pickled_model_is_refused_with_what_to_save(tmp_path: Path) -> None:
    torch.save(backbone(), tmp_path / "whole.pth")
    with pytest.raises(ModelError, match=r"no dictionary of weights.*save model\.state_dict\(\)"):
        fill(backbone(), tmp_path / "whole.pth", heads=("fc",), name=NAME)
