"""Vectors of labelled photographs, as the embedder makes them, without a server."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition
from embedder_service.preprocess import U8, Preprocess
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.choice import load_runtime
from lookalike.wire.vectors import F32
from tests.bench.embed import images
from tests.bench.embed.run import WORK

LIMITS = ImageLimits(60 << 20, 50_000_000, 50.0)
_BATCH = 8


class Missing(Exception):
    """A figure cannot be measured here; the text says why."""


def photographs(name: str) -> list[bytes]:
    """Return the files of a data set.

    Raises:
        Missing: it is not on this machine.
    """
    folder = images.DATA / name / "images"
    if not folder.is_dir():
        raise Missing(f"the photographs of {name} are not on this machine")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def labelled(name: str, column: int) -> tuple[list[bytes], list[str]]:
    """Return the files of a data set and their classes.

    Raises:
        Missing: it is not on this machine.
    """
    rows = images.labelled(name)
    if not rows:
        raise Missing(f"the labelled photographs of {name} are not on this machine")
    return [row[0].read_bytes() for row in rows], [str(row[column]) for row in rows]


def definition_of(model: str) -> ModelDefinition:
    """Return the definition of a model's line, in f32."""
    return define(spec.parse(model), "f32")


def embed(model: str, files: Sequence[bytes]) -> F32:
    """Return float32 [N, D], unit L2, by OpenVINO."""
    definition = definition_of(model)
    runtime = load_runtime(
        definition, "openvino", threads=0, max_batch_images=_BATCH, cache_dir=WORK / "models"
    )
    parts = []
    for first in range(0, len(files), _BATCH):
        batch = files[first : first + _BATCH]
        pixels = np.stack([square(definition.preprocess, data) for data in batch])
        parts.append(unit_vectors(runtime.infer(pixels), len(batch)))
    return np.concatenate(parts)


def square(prepare: Preprocess, data: bytes) -> U8:
    """Return uint8 [S, S, 3] as a decode process does."""
    picture = decode_file(
        data, LIMITS, least_short_side_px=prepare.least_short_side_px, admit=lambda _: None
    )
    return prepare.square(picture.rgb)


def png(picture: Image.Image) -> bytes:
    """Return `picture` as a PNG file."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()
