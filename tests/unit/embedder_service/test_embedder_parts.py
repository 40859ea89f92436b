"""Admission, fingerprint, preprocessing, model specs, settings, metrics."""

from __future__ import annotations

import dataclasses
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedder_service.admission import Admission, AdmissionOptions
from embedder_service.lanes import Lane
from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition, ModelError
from embedder_service.models.options import ModelOptions
from embedder_service.pace import Pace
from embedder_service.preprocess import Preprocess
from embedder_service.settings import load
from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.wire.errors import Exhausted


def test_a_full_lane_refuses_and_says_when_to_come_back() -> None:
    admission = Admission(AdmissionOptions(2, 1000), pace(0.5))
    with admission.admit(Lane.BULK, 10, None), admission.admit(Lane.BULK, 10, None):
        with pytest.raises(Exhausted) as refused, admission.admit(Lane.BULK, 10, None):
            pass
        assert refused.value.retry_delay_s == pytest.approx(1.0)
        with admission.admit(Lane.QUERY, 10, None):
            assert admission.inside(Lane.QUERY) == 1
    assert admission.inside(Lane.BULK) == 0


def test_bytes_are_bounded_but_one_image_always_fits() -> None:
    admission = Admission(AdmissionOptions(10, 100), pace(0.01))
    with (
        admission.admit(Lane.QUERY, 500, None),
        pytest.raises(Exhausted, match="bytes"),
        admission.admit(Lane.BULK, 1, None),
    ):
        pass


def test_a_queue_longer_than_the_deadline_refuses() -> None:
    admission = Admission(AdmissionOptions(10, 100), pace(0.1))
    now_s = time.monotonic()
    with (
        admission.admit(Lane.QUERY, 1, now_s + 0.1),
        pytest.raises(Exhausted, match="deadline"),
        admission.admit(Lane.QUERY, 1, now_s + 0.1),
    ):
        pass


def pace(seconds_per_image: float) -> Pace:
    made = Pace()
    made.seed(seconds_per_image)
    return made


def test_the_pace_follows_the_answers_of_a_busy_server() -> None:
    measured = pace(10.0)
    for _ in range(200):
        measured.answered(busy=True, took_s=20.0, images=1)
    assert measured.seconds_per_image < 0.5


def test_an_idle_server_says_nothing_against_the_pace() -> None:
    measured = pace(0.02)
    for _ in range(50):
        measured.answered(busy=False, took_s=0.5, images=1)
    assert measured.seconds_per_image == 0.02


def test_a_pace_that_lets_one_image_in_at_a_time_recovers() -> None:
    measured = pace(5.0)
    admission = Admission(AdmissionOptions(64, 1000), measured)
    for _ in range(60):
        measured.answered(busy=False, took_s=0.06, images=2)
    assert measured.seconds_per_image == pytest.approx(0.03, rel=0.5)
    with ExitStack() as inside:
        for _ in range(16):
            inside.enter_context(admission.admit(Lane.QUERY, 1, time.monotonic() + 1.0))


# A collection is bound to these: they change with a vector, and with nothing else.
FINGERPRINTS = {
    "efficientnet-lite0": "30fb5b58e375a1c006cc71972c03b91a90b78434630eb091f9ddc285a07cddca",
    "efficientnet-lite2": "75fe2f1c3d085fff21e1c54f02fef6cf5613e4fe62ab82998e6f8672552154b8",
    # As the first releases served them, with white behind all that is transparent.
    "efficientnet-lite0@ground:white": (
        "dafe35d25f760e3f499937fef635f67713e13e7dea000e30a6ce4f9a6a364740"
    ),
    "efficientnet-lite2@gem": "cfe19ee0b4dcdc7d3b558285f149f75ec71b2a3665bf0eae760a4f38c6304918",
}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_models_that_come_along_keep_their_fingerprints(name: str) -> None:
    assert define(spec.parse(name), "f32").fingerprint == FINGERPRINTS[name]


def test_everything_that_changes_a_vector_changes_the_fingerprint(lite0: ModelDefinition) -> None:
    others = [
        dataclasses.replace(lite0, precision="bf16"),
        dataclasses.replace(lite0, pooling="gem"),
        dataclasses.replace(lite0, weights_sha256="0" * 64),
        dataclasses.replace(lite0, architecture="other"),
        dataclasses.replace(lite0, dimension=7),
        dataclasses.replace(
            lite0, preprocess=dataclasses.replace(lite0.preprocess, crop_fraction=1.0)
        ),
    ]
    assert len({lite0.fingerprint, *(other.fingerprint for other in others)}) == 7
    assert dataclasses.replace(lite0, name="alias").fingerprint == lite0.fingerprint


MAX_OF_RESNET = spec.ModelSpec("timm", "resnet18", ModelOptions("max"), Path("w/x.pth"))
MEAN = (127.0, 127.0, 127.0)


def test_the_square_is_the_centre_of_the_short_side() -> None:
    picture = Image.new("RGB", (300, 100), (255, 0, 0))
    picture.paste((0, 255, 0), (100, 0, 200, 100))
    pixels = Preprocess(32, 0.875, "bicubic", MEAN, MEAN).square(picture)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == (0, 255, 0)).all()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("efficientnet-lite2", spec.ModelSpec("", "efficientnet-lite2")),
        (" efficientnet-lite0@gem ", spec.ModelSpec("", "efficientnet-lite0", ModelOptions("gem"))),
        (
            "timm:resnet18@max=w/x.pth",
            MAX_OF_RESNET,
        ),
        (
            "onnx:my/a=b/net.onnx@squash@size:64@mean:0.5/0.4/0.3@std:0.25@output:vector",
            spec.ModelSpec(
                "onnx",
                "my/a=b/net.onnx",
                ModelOptions(
                    shape="squash",
                    size=64,
                    mean=(0.5, 0.4, 0.3),
                    std=(0.25, 0.25, 0.25),
                    output="vector",
                ),
            ),
        ),
    ],
)
def test_model_specs_are_read_and_written(text: str, wanted: spec.ModelSpec) -> None:
    assert spec.parse(text) == wanted
    assert spec.parse(wanted.text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "resnet18",
        "keras:resnet18",
        "timm:",
        "efficientnet-lite2@sum",
        "efficientnet-lite0=x",
        "timm:resnet18@pad@crop",
        "timm:resnet18@std:0.5",
        "onnx:",
        "onnx:a/b.onnx@avg",
        "onnx:x.onnx@size:0",
        "onnx:x.onnx@size:wide",
        "onnx:x.onnx@mean:1/2",
        "onnx:x.onnx@std:0",
        "onnx:x.onnx@crop_pct:2",
        "onnx:x.onnx@filter:sinc",
        "onnx:x.onnx@output:",
    ],
)
def test_bad_model_specs_are_refused(text: str) -> None:
    with pytest.raises(ModelError):
        spec.parse(text)


def test_the_command_line_goes_before_the_environment() -> None:
    environment = {
        "LOOKALIKE_EMBEDDER_PORT": "7",
        "LOOKALIKE_EMBEDDER_HOST": "0.0.0.0",
        "LOOKALIKE_EMBEDDER_OPEN_ACCESS": "true",
        "LOOKALIKE_EMBEDDER_LOG_JSON": "true",
    }
    settings = load(["--port", "0"], environment)
    assert (settings.port, settings.host, settings.log_json) == (0, "0.0.0.0", True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "x"],
        ["--port", "-1"],
        ["--port", "99999"],
        ["--precision", "f16"],
        ["--device", "tpu"],
        ["--target-batch-ms", "nan"],
        ["--tls-key", __file__],
        ["--tls-ca", __file__],
        ["--models", "resnet18"],
        ["--log-json", "maybe"],
    ],
)
def test_bad_settings_are_named(arguments: list[str]) -> None:
    with pytest.raises(SettingsInvalid, match=arguments[0]):
        load(arguments, {})
