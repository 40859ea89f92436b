"""Encoders of the user's own, first of all the one that the documentation shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelError
from embedder_service.runtimes.choice import load_runtime
from tests.documented.blocks import ROOT, Kind, blocks

PAGE = ROOT / "docs" / "guide" / "own-encoder.md"


def documented() -> str:
    (example,) = [block for block in blocks(PAGE.read_text(), PAGE) if block.kind is Kind.FILE]
    return example.text


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "shoe_encoder.py"
    path.write_text(documented())
    return path


def made(path: Path) -> Any:
    """Return the module of a file, as its user would import it."""
    found = importlib.util.spec_from_file_location("shoe", path)
    assert found is not None
    assert found.loader is not None
    module: Any = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_example_is_short() -> None:
    assert 10 < len(documented().splitlines()) < 40


def test_the_example_gives_the_vectors_of_its_network(example: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    # As its training left it: compiled, and with a classifier of another size.
    network = made(example).ShoeNet(classes=31)
    trained = {f"_orig_mod.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": trained, "epoch": 9}, tmp_path / "shoe_net.pth")
    text = f"python:{example}={tmp_path}/shoe_net.pth"
    definition = define(spec.parse(text), "f32")
    assert (definition.dimension, definition.preprocess.size_px) == (96, 128)
    assert (definition.preprocess.resize_px, definition.name) == (142, "python:shoe_encoder.py")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    network.classifier = torch.nn.Identity()
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        wanted = network.eval()(x).numpy()
    for device in ("torch-cpu", "openvino"):
        runtime = load_runtime(definition, device, threads=1, max_batch_images=4, cache_dir=None)
        np.testing.assert_allclose(runtime.infer(pixels), wanted, atol=1e-4)


def test_what_changes_a_vector_changes_the_fingerprint(example: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(made(example).ShoeNet().state_dict(), tmp_path / "a.pth")
    torch.save(made(example).ShoeNet().state_dict(), tmp_path / "b.pth")
    marks = {
        define(spec.parse(f"python:{example}{rest}"), "f32").fingerprint
        for rest in (f"={tmp_path}/a.pth", f"={tmp_path}/b.pth", f"@pad={tmp_path}/a.pth")
    }
    example.write_text(documented().replace("mean(dim=(2, 3))", "amax(dim=(2, 3))"))
    edited = define(spec.parse(f"python:{example}={tmp_path}/a.pth"), "f32")
    assert len({*marks, edited.fingerprint}) == 4
    moved = tmp_path / "elsewhere.py"
    moved.write_text(example.read_text())
    same = define(spec.parse(f"python:{moved}={tmp_path}/a.pth"), "f32")
    assert same.fingerprint == edited.fingerprint


@pytest.mark.parametrize("kind", ["ShoeNet()", "ShoeNet().half()", "ShoeNet().bfloat16()"])
def test_weights_that_the_file_makes_are_served(kind: str, example: Path) -> None:
    text = documented().replace("        ShoeNet(),", f"        {kind},")
    example.write_text("import torch\n\ntorch.manual_seed(5)\n" + text)
    first, second = (define(spec.parse(f"python:{example}"), "f32") for _ in range(2))
    assert first.fingerprint == second.fingerprint
    pixels = np.zeros((1, 128, 128, 3), dtype=np.uint8)
    one, other = (
        load_runtime(each, "torch-cpu", threads=1, max_batch_images=1, cache_dir=None).infer(pixels)
        for each in (first, second)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("return OwnEncoder(", "return list("), "TypeError: list"),
        (("def encoder()", "def make()"), "AttributeError: .*encoder"),
        (("from torch import Tensor, nn", "from torch import Tensor, nn, nothing"), "ImportError"),
        (("class ShoeNet(nn.Module):", "class ShoeNet(nn.Module)"), "SyntaxError"),
        (('heads=("classifier",)', 'heads=("fc",)'), "has no module fc, which `heads` names"),
        (("crop_pct=0.9", "crop_pct=9.0"), "crop_pct a share of 1"),
        (("crop_pct=0.9", 'filter="sinc"'), "the filter is one of"),
        (("nn.Conv2d(3, 32", "nn.Conv2d(4, 32"), r"does not run on a picture \[1, 3, 128, 128\]: "),
        ((".mean(dim=(2, 3)))", ".mean(dim=(2, 3))), 1"), "gives tuple, not one tensor"),
        ((".mean(dim=(2, 3))", ""), r"shape \[1, 96, 16, 16\], not one vector: pool them"),
    ],
)
def test_a_file_that_makes_no_encoder_is_refused(
    change: tuple[str, str], told: str, example: Path
) -> None:
    assert change[0] in documented()
    example.write_text(documented().replace(*change))
    with pytest.raises(ModelError, match=told) as refused:
        define(spec.parse(f"python:{example}"), "f32")
    assert "\n" not in str(refused.value)
    assert "shoe_encoder.py" in str(refused.value)


def test_other_results_and_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("def encoder():\n    return 7\n")
    with pytest.raises(ModelError, match=r"returns int, not an OwnEncoder"):
        define(spec.parse(f"python:{tmp_path}/none.py"), "f32")
    with pytest.raises(ModelError, match="no such file"):
        define(spec.parse(f"python:{tmp_path}/missing.py"), "f32")
    for text, wanted in (("python:x.txt", "ends in .py"), ("python:x.py@avg", "gives its vector")):
        with pytest.raises(ModelError, match=wanted):
            spec.parse(text)
