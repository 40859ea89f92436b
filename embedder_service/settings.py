"""The embedder's settings: from the environment, then from the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "LOOKALIKE_EMBEDDER_"

_MIB = 1 << 20
_MOST_PORT = 65535


def _setting(default: Any, text: str, least: float | None = None) -> Any:
    return field(default=default, metadata={"help": text, "least": least})


class SettingsError(Exception):
    """A setting has a value that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, as `LOOKALIKE_EMBEDDER_<NAME>` or as `--<name>`."""

    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(50052, "port to listen on; 0 takes a free one", 0)
    metrics_port: int = _setting(-1, "port of the Prometheus metrics; 0 takes a free one, -1 none")
    tls_certificate: str = _setting("", "PEM file of the server's certificate; empty for no TLS")
    tls_key: str = _setting("", "PEM file of the server's key")
    tls_client_ca: str = _setting("", "PEM file of the authority that clients must be signed by")
    reflection: bool = _setting(False, "serve gRPC reflection (true or false)")
    log_level: str = _setting("info", "debug, info, warning or error")
    log_json: bool = _setting(False, "log JSON lines (true or false)")
    models: str = _setting(
        "efficientnet-lite2",
        "models to serve, separated by commas, the default one first: "
        "NAME[@POOLING][=WEIGHTS] with NAME efficientnet-lite2, efficientnet-lite0, "
        "torchvision:NAME or timm:NAME",
    )
    precision: str = _setting("f32", "f32 or bf16; part of the fingerprint")
    device: str = _setting("auto", "auto, cpu, cuda, openvino, torch-cpu or torch-cuda")
    cpu_threads: int = _setting(0, "threads of the forward pass on CPU; 0 for one a core", 0)
    cache_dir: str = _setting("", "folder for converted models; empty converts at each start")
    model_memory_mib: int = _setting(
        0, "most memory of one model with its batches, in MiB; 0 for no bound", 0
    )
    max_batch_images: int = _setting(64, "most images in one forward pass", 1)
    # A query waits for at most one bulk batch and then for its own: two of these,
    # and the decode, stay below 100 ms.
    target_batch_ms: float = _setting(40.0, "longest time that a batch is grown to", 1)
    stuck_after_s: float = _setting(60.0, "a batch that takes longer counts as a crash", 1)
    max_queued_images: int = _setting(256, "most images inside, for each model and lane", 1)
    max_bytes_in_flight: int = _setting(256 * _MIB, "most bytes of images inside, by model", 1)
    max_stream_in_flight: int = _setting(64, "most unanswered images of one stream", 1)
    max_concurrent_rpcs: int = _setting(1024, "most calls under way", 1)
    max_image_bytes: int = _setting(32 * _MIB, "most bytes of one file", 1)
    max_image_pixels: int = _setting(50_000_000, "most pixels of one picture", 1)
    max_aspect_ratio: float = _setting(50.0, "most of long side over short side", 1)
    max_pixels_in_flight: int = _setting(100_000_000, "most pixels that are decoded at one time", 1)
    decode_processes: int = _setting(0, "decode processes; 0 for one a core", 0)
    decode_timeout_ms: int = _setting(1000, "most CPU time to decode one image", 1)
    decode_memory_mib: int = _setting(1024, "memory of one decode process, in MiB", 256)
    decode_nice: int = _setting(0, "niceness of the decode processes, 0 to 19", 0)
    thumbnail_side_px: int = _setting(0, "long side of thumbnails; 0 makes none", 0)
    grace_s: float = _setting(10.0, "time for calls under way when the server stops", 0)


def from_environment(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings; the command line goes before the environment.

    Raises:
        SettingsError: a value is of the wrong type or out of range.
    """
    flags = vars(_parser().parse_args(arguments))
    values: dict[str, Any] = {}
    for item in fields(Settings):
        text = flags[item.name]
        name = f"--{item.name.replace('_', '-')}"
        if text is None:
            name = f"{PREFIX}{item.name.upper()}"
            text = environment.get(name)
        if text is not None:
            values[item.name] = _parse(name, text, type(item.default), item.metadata["least"])
    settings = Settings(**values)
    _check_choices(settings)
    return settings


def load(arguments: Sequence[str]) -> Settings:
    """Return the settings of this process; see `from_environment`."""
    return from_environment(arguments, os.environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m embedder_service",
        description=f"Serves image embeddings. Each option can be set as {PREFIX}<NAME> too.",
    )
    for item in fields(Settings):
        text = f"{item.metadata['help']} (default: {item.default!r})"
        parser.add_argument(f"--{item.name.replace('_', '-')}", metavar="VALUE", help=text)
    return parser


def _parse(name: str, text: str, kind: type, least: float | None) -> Any:
    try:
        value = _boolean(text) if kind is bool else kind(text)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}: must be of type {kind.__name__}") from error
    if least is not None and not value >= least:
        raise SettingsError(f"{name} is {text!r}: must be at least {least:g}")
    return value


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise ValueError(text)
    return values[text.lower()]


def _check_choices(settings: Settings) -> None:
    devices = ("auto", "cpu", "cuda", "openvino", "torch-cpu", "torch-cuda")
    for name, value, choices in (
        ("precision", settings.precision, ("f32", "bf16")),
        ("device", settings.device, devices),
        ("log_level", settings.log_level, ("debug", "info", "warning", "error")),
    ):
        if value not in choices:
            raise SettingsError(f"{name} is {value!r}: must be one of {', '.join(choices)}")
    for name, port in (("port", settings.port), ("metrics_port", settings.metrics_port)):
        if port > _MOST_PORT:
            raise SettingsError(f"{name} is {port}: must be at most {_MOST_PORT}")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise SettingsError("tls_certificate and tls_key go together: set both or none")
    if settings.tls_client_ca and not settings.tls_certificate:
        raise SettingsError("tls_client_ca needs tls_certificate and tls_key")


def cache_path(settings: Settings) -> Path | None:
    """Return the folder for converted models, None for no cache."""
    return Path(settings.cache_dir) if settings.cache_dir else None
