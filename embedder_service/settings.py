"""Settings of the embedder, read once from the command line and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedder_service.models import spec
from embedder_service.models.definition import ModelError
from lookalike.serving.settings.declared import setting
from lookalike.serving.settings.reading import Process, SettingsInvalid, read
from lookalike.serving.settings.shared import MOST_BYTES, MOST_PORT, ServerSettings
from lookalike.wire.channel import MAX_IMAGE_BYTES

PROCESS = Process("EMBEDDER", "embedder_service", "Turns images into unit vectors.")

_MIB = 1 << 20
# A pebibyte in MiB, and more images, pixels and processes than a machine has room for.
_MOST_MIB = MOST_BYTES // _MIB
_MOST_IMAGES = 1_000_000
_MOST_PIXELS = 1_000_000_000_000
_MOST_THREADS = 1_024


@dataclass(frozen=True, kw_only=True)
class Settings(ServerSettings):
    """How the embedder runs. `cache_dir` None converts models at each start."""

    port: int = setting("port to listen on; 0 takes a free one", 50052, least=0, most=MOST_PORT)
    models: tuple[str, ...] = setting(
        "models to serve, the default one first: NAME[@OPTION]...[=WEIGHTS] with NAME "
        "efficientnet-lite2, efficientnet-lite0, torchvision:NAME, timm:NAME, openclip:NAME, "
        "onnx:FILE, python:FILE, style:palette, style:texture or faces:FILE",
        ("efficientnet-lite2",),
        unit="model",
    )
    precision: str = setting(
        "arithmetic of the forward pass; part of the fingerprint", "f32", choices=("f32", "bf16")
    )
    device: str = setting(
        "what the models run on",
        "auto",
        choices=(
            *("auto", "cpu", "cuda", "openvino", "torch-cpu", "torch-cuda"),
            *("onnxruntime-cpu", "onnxruntime-cuda"),
        ),
    )
    cpu_threads: int = setting(
        "threads of the forward pass on CPU; 0 for one a core that the process may use",
        0,
        least=0,
        most=_MOST_THREADS,
    )
    cache_dir: Path | None = setting(
        "folder for converted models; without it they are converted at each start",
        None,
        unit="folder",
    )
    model_memory_mib: int = setting(
        "most memory of one model with its batches; 0 for no bound",
        0,
        unit="MiB",
        least=0,
        most=_MOST_MIB,
    )
    max_batch_images: int = setting("most images in one forward pass", 64, least=1, most=65_536)
    # A query waits for at most one bulk batch and then for its own: two of these,
    # and the decode, stay below 100 ms.
    target_batch_ms: float = setting(
        "longest time that a batch is grown to", 40.0, unit="milliseconds", least=1, most=3_600_000
    )
    stuck_after_s: float = setting(
        "a batch that takes longer counts as a crash", 60.0, unit="seconds", least=1, most=86_400
    )
    max_queued_images: int = setting(
        "most images inside, for each model and lane; as many texts",
        256,
        least=1,
        most=_MOST_IMAGES,
    )
    max_bytes_in_flight: int = setting(
        "most bytes of images inside, by model",
        256 * _MIB,
        unit="bytes",
        least=1,
        most=MOST_BYTES,
    )
    max_stream_in_flight: int = setting(
        "most unanswered images of one stream", 64, least=1, most=_MOST_IMAGES
    )
    max_image_bytes: int = setting(
        "most bytes of one file", MAX_IMAGE_BYTES, unit="bytes", least=1, most=MOST_BYTES
    )
    max_image_pixels: int = setting(
        "most pixels of one picture", 50_000_000, least=1, most=_MOST_PIXELS
    )
    max_scaled_pixels: int = setting(
        "most pixels of one JPEG, which past max_image_pixels is decoded at a part of its size",
        250_000_000,
        least=1,
        most=_MOST_PIXELS,
    )
    max_aspect_ratio: float = setting(
        "most of long side over short side", 50.0, least=1, most=1_000_000
    )
    max_pixels_in_flight: int = setting(
        "most pixels that are decoded at one time", 100_000_000, least=1, most=_MOST_PIXELS
    )
    decode_processes: int = setting(
        "decode processes; 0 for one a core that the process may use",
        0,
        least=0,
        most=_MOST_THREADS,
    )
    decode_timeout_ms: int = setting(
        "most CPU time to decode one image", 30_000, unit="milliseconds", least=1, most=3_600_000
    )
    least_rows_share: float = setting(
        "share of its rows that a file which lacks its end must hold to be decoded; 1 refuses "
        "such files",
        0.95,
        least=0.5,
        most=1,
    )
    decode_memory_mib: int = setting(
        "memory of one decode process", 1536, unit="MiB", least=256, most=_MOST_MIB
    )
    decode_nice: int = setting("niceness of the decode processes", 0, least=0, most=19)
    thumbnail_side_px: int = setting(
        "long side of thumbnails; 0 makes none", 0, unit="pixels", least=0, most=65_535
    )


def load(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings: an option outranks LOOKALIKE_EMBEDDER_<OPTION>.

    Raises:
        SettingsInvalid: a setting is unknown or has a value that cannot be.
        SystemExit: --help.
    """
    settings = read(Settings, PROCESS, arguments, environ)
    for model in settings.models:
        try:
            spec.parse(model)
        except ModelError as error:
            raise SettingsInvalid(f"--models: {error}") from error
    return settings
