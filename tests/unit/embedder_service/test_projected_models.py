"""A model with a projection: shorter vectors under a fingerprint of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.models.definition import ModelDefinition, ModelError
from embedder_service.preprocess import U8
from embedder_service.runner import unit_vectors
from embedder_service.runtimes.choice import load_runtime
from lookalike.wire.projection import Projection
from lookalike.wire.vectors import F32


def write(path: Path, fingerprint: str, own: int, kept: int = 128) -> Projection:
    noise = np.random.default_rng(0)
    axes, _ = np.linalg.qr(noise.standard_normal((own, kept)))
    mean: F32 = (noise.standard_normal(own) / own).astype(np.float32)
    projection = Projection(
        mean, axes.T.astype(np.float32), whitened=False, energy=0.9, images=500,
        model_fingerprint=fingerprint,
    )  # fmt: skip
    projection.save(path)
    return projection


def test_its_vectors_are_the_models_projected(
    lite0: ModelDefinition, lite0_squares: U8, tmp_path: Path
) -> None:
    path = tmp_path / "short.npz"
    projection = write(path, lite0.fingerprint, lite0.dimension)
    text = f"efficientnet-lite0@projection:{path}"
    definition = define(spec.parse(text), "f32")
    assert (definition.dimension, definition.spec_text) == (128, text)
    assert definition.name == "efficientnet-lite0@projection:short.npz"
    assert definition.fingerprint != lite0.fingerprint
    vectors = [
        unit_vectors(
            load_runtime(one, "torch-cpu", threads=1, max_batch_images=2, cache_dir=None).infer(
                lite0_squares[:2]
            ),
            2,
        )
        for one in (lite0, definition)
    ]
    wanted = (vectors[0] - projection.mean) @ projection.basis.T
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors[1], wanted, atol=1e-5)


def test_another_file_is_another_model(lite0: ModelDefinition, tmp_path: Path) -> None:
    marks = set()
    for kept in (128, 129):
        path = tmp_path / f"{kept}.npz"
        write(path, lite0.fingerprint, lite0.dimension, kept)
        marks.add(define(spec.parse(f"efficientnet-lite0@projection:{path}"), "f32").fingerprint)
    assert len(marks) == 2


def test_a_projection_of_another_model_is_refused(lite0: ModelDefinition, tmp_path: Path) -> None:
    write(tmp_path / "p.npz", lite0.fingerprint, lite0.dimension)
    for text, precision in (("efficientnet-lite0@pad", "f32"), ("efficientnet-lite0", "bf16")):
        with pytest.raises(ModelError, match=r"was fitted for the model .*fit-projection"):
            define(spec.parse(f"{text}@projection:{tmp_path}/p.npz"), precision)
    with pytest.raises(ModelError, match=r"missing\.npz: No such file"):
        define(spec.parse(f"efficientnet-lite0@projection:{tmp_path}/missing.npz"), "f32")
