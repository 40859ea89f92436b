"""torchvision and timm models by name, with weights from a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from embedder_service.models import downloads, spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelError


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(resnet18(weights=None).state_dict(), path)
    return path


@pytest.mark.parametrize("library", ["torchvision", "timm"])
@pytest.mark.parametrize("pooling", ["avg", "max", "gem"])
def test_both_libraries_read_one_file_alike(library: str, pooling: str, resnet_file: Path) -> None:
    definition = define(spec.parse(f"{library}:resnet18@{pooling}={resnet_file}"), "f32")
    assert definition.dimension == 512
    size = definition.preprocess.size_px
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    with torch.inference_mode():
        features = definition.build()(torch.from_numpy(pixels))
    assert features.shape == (2, 512)
    torch.testing.assert_close(
        features, _by_hand(pixels, pooling, resnet_file), atol=1e-4, rtol=1e-3
    )


def _by_hand(pixels: np.ndarray, pooling: str, path: Path) -> torch.Tensor:
    from safetensors.torch import load_file
    from torchvision.models import resnet18

    network = resnet18(weights=None)
    network.load_state_dict(load_file(path))
    trunk = torch.nn.Sequential(*list(network.eval().children())[:-2])
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.inference_mode():
        maps = trunk((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std)
    if pooling == "max":
        pooled: torch.Tensor = maps.amax((2, 3))
    elif pooling == "gem":
        pooled = maps.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    else:
        pooled = maps.mean((2, 3))
    return pooled


@pytest.mark.parametrize(
    ("architecture", "pooled", "own"),
    [
        ("mobilenet_v3_small", 576, 1024),
        ("densenet121", 1024, 1024),
        ("vit_b_32", 768, 768),
        ("shufflenet_v2_x0_5", 1024, 1024),
    ],
)
def test_the_last_map_is_found_in_other_families(
    architecture: str, pooled: int, own: int, tmp_path: Path
) -> None:
    from torchvision.models import get_model

    path = tmp_path / "weights.pth"
    torch.save(get_model(architecture, weights=None).state_dict(), path)
    for pooling, dimension in (("@avg", pooled), ("", own)):
        definition = define(spec.parse(f"torchvision:{architecture}{pooling}={path}"), "f32")
        assert definition.dimension == dimension


def test_class_and_register_tokens_are_not_averaged(tmp_path: Path) -> None:
    torch.manual_seed(0)
    name = "vit_wee_patch16_reg1_gap_256"
    model: Any = timm.create_model(name).eval()
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    network = define(spec.parse(f"timm:{name}@avg={path}"), "f32").build()
    with torch.inference_mode():
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
        mean, std = (torch.tensor(model.pretrained_cfg[key]) for key in ("mean", "std"))
        tokens = model.forward_features((x - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        assert tokens.shape[1] == 256 + model.num_prefix_tokens
        wanted = tokens[:, model.num_prefix_tokens :].mean(dim=1)
        torch.testing.assert_close(network(torch.from_numpy(pixels)), wanted)


def test_weights_of_another_network_are_refused(resnet_file: Path) -> None:
    definition = define(spec.parse(f"torchvision:resnet34={resnet_file}"), "f32")
    with pytest.raises(
        ModelError, match=r"torchvision:resnet34 .*missing: layer1\.2\.conv1\.weight"
    ):
        definition.build()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("torchvision:no_such_net=w.pth", "no_such_net"),
        ("timm:no_such_net=w.pth", "no_such_net"),
        ("timm:resnet18=missing.pth", "missing.pth: No such file"),
    ],
)
def test_what_cannot_be_loaded_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(ModelError, match=told):
        define(spec.parse(text.replace("=w", f"={tmp_path}/w")), "f32")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("convnext_atto_rms", "timm publishes no weights .*timm:convnext_atto_rms=FILE"),
        ("resnet18.no_such_tag", "no_such_tag"),
    ],
)
def test_what_cannot_be_downloaded_is_said(name: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        define(spec.parse(f"timm:{name}"), "f32")


def test_a_host_that_is_not_there_is_noticed_before_the_download() -> None:
    with pytest.raises(ModelError, match=r"timm:x has no weights here .*give a file.*timm:x=FILE"):
        downloads.check_url("timm:x", "https://nowhere.invalid/weights.pth")
