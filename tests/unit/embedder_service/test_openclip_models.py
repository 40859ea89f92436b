"""Models of open_clip give the library's own vectors, of pictures and of texts."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition, ModelError
from embedder_service.models.tokens import Tokenizer
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.choice import load_runtime
from embedder_service.runtimes.torch_texts import TorchTexts
from lookalike.wire.vectors import F32
from tests.tiny_openclip import CONFIG, SIZE_PX, tiny

TEXTS = (
    "a red shoe",
    "A   RED shoe &amp; <b>laces</b>",
    "Ein grüner Schuh, 日本の靴 👟",
    "shoe " * 200,  # past the context: cut off
    "it's",
)
LIMITS = ImageLimits(1 << 26, 50_000_000, 50.0)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openclip")


@pytest.fixture(scope="module")
def served(kept: Path) -> tuple[Any, ModelDefinition]:
    model, text = tiny(kept)
    return model, define(spec.parse(text), "f32")


def photographs() -> list[Image.Image]:
    """Pictures of every shape, one of them smaller than the network's square."""
    data: Any = importlib.import_module("skimage.data")  # its functions have no types
    photo = Image.fromarray(data.astronaut())
    sizes = ((512, 512), (511, 200), (97, 400), (40, 33), (300, 301), (64, 64))
    return [photo.crop((0, 0, *size)) for size in sizes]


def of_texts(definition: ModelDefinition, texts: Sequence[str] = TEXTS) -> F32:
    assert definition.text is not None
    return unit_vectors(
        TorchTexts(definition.text, definition, "torch-cpu").infer(texts), len(texts)
    )


def of_images(definition: ModelDefinition, device: str) -> F32:
    pixels = []
    for photo in photographs():
        out = io.BytesIO()
        photo.save(out, "PNG")
        prepare = definition.preprocess
        decoded = decode_file(
            out.getvalue(),
            LIMITS,
            least_short_side_px=prepare.least_short_side_px,
            admit=lambda _: None,
        )
        pixels.append(prepare.square(decoded.rgb))
    runtime = load_runtime(definition, device, threads=1, max_batch_images=8, cache_dir=None)
    return unit_vectors(runtime.infer(np.stack(pixels)), len(pixels))


def theirs(model: Any) -> F32:
    transform: Any = open_clip.image_transform(SIZE_PX, is_train=False)
    with torch.inference_mode():
        batch = torch.stack([transform(photo) for photo in photographs()])
        vectors: F32 = model.encode_image(batch, normalize=True).numpy()
    return vectors


def their_texts(model: Any) -> F32:
    with torch.inference_mode():
        tokens = open_clip.tokenize(list(TEXTS), context_length=77)
        vectors: F32 = model.encode_text(tokens, normalize=True).numpy()
    return vectors


@pytest.mark.parametrize("device", ["torch-cpu", "openvino"])
def test_pictures_have_the_librarys_vectors(
    served: tuple[Any, ModelDefinition], device: str
) -> None:
    model, definition = served
    assert (definition.dimension, definition.preprocess.size_px) == (48, SIZE_PX)
    ours, expected = of_images(definition, device), theirs(model)
    assert (ours * expected).sum(axis=1).min() >= 0.9999
    assert np.abs(ours - expected).max() < 1e-5
    assert np.abs(expected - expected[0])[1:].max() > 0.01  # the pictures differ


def test_texts_have_the_librarys_vectors(served: tuple[Any, ModelDefinition]) -> None:
    model, definition = served
    ours, expected = of_texts(definition), their_texts(model)
    assert np.abs(ours - expected).max() < 1e-5
    cosines = ours @ ours.T - 2 * np.eye(len(TEXTS))
    assert cosines.max() < 0.999  # each text has a vector of its own
    # A text has the same vector in any company.
    assert np.abs(of_texts(definition, TEXTS[:1]) - ours[:1]).max() < 1e-5


def test_the_fingerprint_is_of_both_towers(kept: Path, served: tuple[Any, ModelDefinition]) -> None:
    _, definition = served
    assert definition.name == "openclip:tiny.json"
    _, text = tiny(kept, name="same")
    assert define(spec.parse(text), "f32").fingerprint == definition.fingerprint
    _, text = tiny(kept, name="other", text_cfg={**CONFIG["text_cfg"], "heads": 1})
    other = define(spec.parse(text), "f32")
    assert other.weights_sha256 == definition.weights_sha256  # the same numbers, read otherwise
    assert other.fingerprint != definition.fingerprint
    named = define(spec.parse(text.replace("other.json", "other.json@pad")), "f32")
    assert named.fingerprint not in (other.fingerprint, definition.fingerprint)


@pytest.mark.parametrize("form", ["wrapped", "half", "openai"])
def test_checkpoints_of_training_programs_are_read(kept: Path, form: str) -> None:
    """`openai` has the text tower's weights under older names, and numbers beside them."""
    model, text = tiny(kept, name="custom", custom_text=True)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    file = kept / f"{form}.safetensors"
    if form == "wrapped":
        state = {f"module.{name}": tensor for name, tensor in state.items()}
    elif form == "half":
        state = {name: tensor.half() for name, tensor in state.items()}
    else:
        state = {name.removeprefix("text."): tensor for name, tensor in state.items()}
        state["input_resolution"] = torch.tensor(SIZE_PX)
    save_file(state, file)
    definition = define(spec.parse(f"{text.partition('=')[0]}={file}"), "f32")
    least = 0.9999 if form == "half" else 0.9999999
    assert (of_texts(definition) * their_texts(model)).sum(axis=1).min() >= least
    assert (of_images(definition, "torch-cpu") * theirs(model)).sum(axis=1).min() >= least


def test_a_file_that_does_not_fit_says_what_differs(kept: Path) -> None:
    _, text = tiny(kept, name="narrow", embed_dim=24)
    file = text.partition("=")[2]
    _, wide = tiny(kept, name="wide")
    definition = define(spec.parse(f"{wide.partition('=')[0]}={file}"), "f32")
    with pytest.raises(ModelError, match=r"another shape: text_projection \[32, 24\]"):
        definition.build()


def test_a_configuration_says_how_pictures_are_made(kept: Path) -> None:
    _, text = tiny(kept, name="whole")
    config = kept / "open_clip_config.json"
    pictures = {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
    config.write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": pictures}))
    definition = define(spec.parse(f"openclip:{config}={text.partition('=')[2]}"), "f32")
    prepare = definition.preprocess
    assert (prepare.fit, prepare.mean, prepare.std) == ("squash", (127.5,) * 3, (127.5,) * 3)
    transform: Any = open_clip.image_transform(
        SIZE_PX, is_train=False, mean=(0.5,) * 3, std=(0.5,) * 3, resize_mode="squash"
    )
    photo = photographs()[1]
    wanted = transform(photo).permute(1, 2, 0).numpy() * 127.5 + 127.5
    assert np.abs(prepare.square(photo) - wanted).max() < 0.01


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("openclip:ViT-B-32", "give a file, as in openclip:ViT-B-32=FILE; or have one of its own"),
        ("openclip:ViT-B-16-SigLIP=w.pt", "the tokenizer timm/ViT-B-16-SigLIP, which would have"),
        ("openclip:roberta-ViT-B-32=w.pt", "the tokenizer roberta-base"),
        ("openclip:ViT-L-14=w.pt", "say which, by the tag of weights that yours are like: @tag:"),
        ("openclip:ViT-B-32@tag:nothing", "has no weights with the tag nothing; its tags are"),
        ("openclip:ViT-B-32@tag:openai", "write openclip:ViT-B-32-quickgelu@tag:openai"),
        ("openclip:ViT-B-33=w.pt", "has no configuration ViT-B-33, but ViT-B-32"),
        ("openclip:none.json=w.pt", "cannot read the configuration none.json"),
        ("openclip:ViT-B-32=none.pt", "cannot read the weights file none.pt"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_to_do(text: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        define(spec.parse(text), "f32")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("openclip:ViT-B-32@avg=w.pt", "@avg is not for openclip:NAME"),
        ("timm:resnet18@tag:a1", "@tag:a1 is for openclip:NAME"),
        (
            "openclip:ViT-B-32@nothing",
            "write @crop, @pad, @squash, @ground:white, @projection:FILE, @tag:NAME",
        ),
    ],
)
def test_options_are_those_of_the_library(text: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        spec.parse(text)
    assert said in str(caught.value)


def test_a_tag_and_a_file_take_the_files_weights(kept: Path) -> None:
    file = kept / "any.pt"
    torch.save({}, file)
    text = f"openclip:ViT-L-14@tag:laion2b_s32b_b82k={file}"
    read = spec.parse(text)
    assert (read.text, read.name) == (text, "openclip:ViT-L-14@tag:laion2b_s32b_b82k")
    definition = define(read, "f32")
    assert definition.preprocess.mean == (127.5,) * 3
    assert definition.dimension == 768


def test_words_are_not_kept_without_bound() -> None:
    simple: Any = open_clip.SimpleTokenizer()
    tokenizer = Tokenizer(simple, most_words=50)
    first = tokenizer(["a red shoe"])
    for number in range(20):
        tokenizer([f"word{'xyz'[number % 3] * number} other{'k' * number}"])
        assert len(simple.cache) <= 50 + 8
    assert (tokenizer(["a red shoe"]) == first).all()
