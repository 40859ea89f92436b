"""The default model's vectors of real photographs: swapped channels are noticed soon."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.runtimes.openvino import OpenVinoRuntime
from search_service.domain.arrays import F32
from search_service.drift.monitor import DriftState, Monitor, Sample

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
MEAN = 1_000_000.0
REFERENCE, UNCHANGED, WITHIN = 500, 60, 200
BATCH = 20


class Photographs:
    """The default model, for whole files."""

    def __init__(self, cache: Path) -> None:
        self._definition = define(spec.parse("efficientnet-lite2"), "f32")
        self._runtime = OpenVinoRuntime(self._definition, threads=0, cache_dir=cache)

    def vectors(self, paths: Sequence[Path], *, swapped: bool) -> Iterator[F32]:
        """Yield the vector of each; `swapped`: blue where red should be."""
        prepare = self._definition.preprocess
        for start in range(0, len(paths), BATCH):
            squares = []
            for path in paths[start : start + BATCH]:
                with Image.open(path) as photo:
                    pixels = prepare.square(photo.convert("RGB"))
                squares.append(pixels[..., ::-1] if swapped else pixels)
            found = self._runtime.infer(np.ascontiguousarray(np.stack(squares)))
            yield from found / np.linalg.norm(found, axis=1, keepdims=True)


def test_swapped_channels_are_noticed_within_200_queries(tmp_path: Path) -> None:
    folder = DATA / "fashion" / "images"
    if not folder.is_dir():
        pytest.skip("the product photographs are not on this machine")
    paths = sorted(folder.iterdir())
    np.random.default_rng(0).shuffle(paths)
    known, new = paths[: REFERENCE + UNCHANGED], paths[REFERENCE + UNCHANGED :][:WITHIN]
    assert len(new) == WITHIN
    photographs = Photographs(tmp_path)
    monitor = Monitor("lite2", 1280, MEAN)
    for vector in photographs.vectors(known, swapped=False):
        assert monitor.add(_sample(vector)) is None
    assert monitor.state is DriftState.WATCHING
    # Vectors alone: a collection would show it by its scores as well.
    raised = next(
        number
        for number, vector in enumerate(photographs.vectors(new, swapped=True), start=1)
        if monitor.add(_sample(vector)) is not None
    )
    assert raised <= WITHIN
    assert list(monitor.alarms[-1].measures) == ["vectors"]


def _sample(vector: F32) -> Sample:
    return Sample(vector, math.nan, math.nan, 1_000, 0.0)
