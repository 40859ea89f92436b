"""Vectors of library models are those of the library's own pipeline, pixel for pixel."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn

from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition
from embedder_service.models.shapes import shaped
from embedder_service.preprocess import U8, Preprocess
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.openvino import OpenVinoRuntime
from embedder_service.runtimes.torch_cpu import TorchCpuRuntime

PHOTOS = 20
LIMITS = ImageLimits(1 << 26, 50_000_000, 50.0)

# All of them with twenty photographs are measured by `make bench-encoders`.
CNN = "resnet18"
TIMM = (
    (CNN, PHOTOS),
    ("convnext_atto", PHOTOS),
    ("mobilenetv3_small_050", PHOTOS),  # a convolution after the average
    ("vit_tiny_patch16_384", 6),
    ("vit_base_patch32_siglip_256", 6),  # attention pooling, both sides squashed
    ("resnet50_clip", 4),  # attention pooling over a map
    ("vit_small_patch14_reg4_dinov2", 3),  # class and register tokens, 518 px
)


@pytest.fixture(scope="module")
def pngs(imagenet_photos: Sequence[Path]) -> list[bytes]:
    """Twenty photographs, a panorama and a thin strip of them among those."""
    pictures = [Image.open(path).convert("RGB") for path in imagenet_photos[:PHOTOS]]
    pictures[0] = pictures[0].resize((1500, 231))
    pictures[1] = pictures[1].crop((0, 0, 41, min(400, pictures[1].height)))
    return [_png(picture) for picture in pictures]


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


@pytest.mark.parametrize(("architecture", "photos"), TIMM)
def test_timm_models_give_timms_vectors(
    architecture: str, photos: int, pngs: list[bytes], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model: Any = timm.create_model(architecture).eval()
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    definition = define(spec.parse(f"timm:{architecture}={path}"), "f32")
    transform: Any = create_transform(**resolve_model_data_config(model))  # type: ignore[no-untyped-call]  # timm has no types here

    def theirs(batch: Tensor) -> Tensor:
        vectors: Tensor = model.forward_head(model.forward_features(batch), pre_logits=True)
        return vectors

    _compare(definition, pngs[:photos], transform, theirs)


@pytest.mark.parametrize(
    ("architecture", "head", "photos"),
    [
        ("resnet18", "fc", 6),
        ("vit_b_32", "heads.head", 2),
        ("mobilenet_v3_small", "classifier.3", 6),
    ],
)
def test_torchvision_models_give_torchvisions_vectors(
    architecture: str, head: str, photos: int, pngs: list[bytes], tmp_path: Path
) -> None:
    from torchvision.models import get_model, get_model_weights

    torch.manual_seed(0)
    model = get_model(architecture, weights=None).eval()
    path = tmp_path / "weights.pth"
    torch.save(model.state_dict(), path)
    definition = define(spec.parse(f"torchvision:{architecture}={path}"), "f32")
    parent, _, name = head.rpartition(".")
    setattr(model.get_submodule(parent), name, nn.Identity())
    transform = get_model_weights(architecture).DEFAULT.transforms()
    _compare(definition, pngs[:photos], transform, model)


def _compare(
    definition: ModelDefinition,
    pngs: list[bytes],
    transform: Callable[[Image.Image], Tensor],
    theirs: Callable[[Tensor], Tensor],
) -> None:
    pixels = np.stack([_square(definition.preprocess, png) for png in pngs])
    ours = unit_vectors(TorchCpuRuntime(definition).infer(pixels), len(pngs))
    with torch.inference_mode():
        wanted = [
            theirs(transform(Image.open(io.BytesIO(png)).convert("RGB"))[None]).flatten()
            for png in pngs
        ]
    expected = unit_vectors(torch.stack(wanted).numpy(), len(pngs))
    assert ours.shape == expected.shape == (len(pngs), definition.dimension)
    assert (ours * expected).sum(axis=1).min() >= 0.99999


def _square(prepare: Preprocess, png: bytes) -> U8:
    picture = decode_file(
        png, LIMITS, least_short_side_px=prepare.least_short_side_px, admit=lambda _: None
    )
    return prepare.square(picture.rgb)


@pytest.mark.parametrize("architecture", [CNN, "vit_tiny_r_s16_p8_224"])
def test_openvino_gives_them_too(architecture: str, pngs: list[bytes], tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model(architecture).state_dict(), path)
    definition = define(spec.parse(f"timm:{architecture}={path}"), "f32")
    pixels = np.stack([_square(definition.preprocess, png) for png in pngs[:4]])
    runtime = OpenVinoRuntime(definition, threads=0, cache_dir=None)
    ours = unit_vectors(runtime.infer(pixels), 4)
    wanted = unit_vectors(TorchCpuRuntime(definition).infer(pixels), 4)
    assert (ours * wanted).sum(axis=1).min() >= 0.9999


SIZES = ((640, 480), (481, 1033), (224, 224), (256, 300), (57, 33), (1999, 101), (101, 1999))


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_every_crop_mode_is_timms_to_the_pixel(
    mode: str, crop_pct: float, interpolation: str
) -> None:
    size_px = 224
    mean = (0.481, 0.457, 0.408)
    transform: Any = create_transform(
        input_size=(3, size_px, size_px), crop_pct=crop_pct, crop_mode=mode,
        interpolation=interpolation, mean=mean, normalize=False,
    )  # fmt: skip
    red, green, blue = (value * 255 for value in mean)
    prepare = Preprocess(
        size_px, crop_pct, interpolation, (red, green, blue), (1.0, 1.0, 1.0),
        fit=mode, resize_px=int(size_px / crop_pct), as_stored=True,
    )  # fmt: skip
    noise = np.random.default_rng(0)
    for width_px, height_px in SIZES:
        pixels = noise.integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels)
        wanted = transform(picture).permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(prepare.square(picture), wanted)


def test_shapes_show_what_they_say() -> None:
    own = Preprocess(
        32, 0.875, "bicubic", (9.0, 9.0, 9.0), (1.0, 1.0, 1.0), fit="center", resize_px=36
    )
    picture = Image.new("RGB", (300, 100), (255, 0, 0))
    picture.paste((0, 255, 0), (100, 0, 200, 100))
    crop, pad, squash = (shaped(own, shape).square(picture) for shape in ("crop", "pad", "squash"))
    assert shaped(own, "crop") == shaped(own, "") == own
    assert (crop == (0, 255, 0)).all()
    assert (pad[0] == 9).all()
    assert (pad[16, 0] == (255, 0, 0)).all()
    assert (pad[16, 16] == (0, 255, 0)).all()
    assert (squash[:, 0] == (255, 0, 0)).all()
    assert (squash[:, 16] == (0, 255, 0)).all()


def test_each_shape_has_its_own_fingerprint(lite0: ModelDefinition) -> None:
    texts = [f"efficientnet-lite0{shape}" for shape in ("", "@crop", "@pad", "@squash", "@avg")]
    marks = [define(spec.parse(text), "f32").fingerprint for text in texts]
    assert marks[0] == marks[1] == marks[4] == lite0.fingerprint
    assert len(set(marks)) == 3
