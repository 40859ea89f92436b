"""Projections: fitted, applied, kept in a file, and refused where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.wire.projection import (
    VERSION,
    Projection,
    ProjectionFit,
    ProjectionUnfitted,
    ProjectionUnreadable,
)
from lookalike.wire.vectors import F32

MODEL = "ab" * 32


def units(rows: int, own: int = 200, rank: int = 200) -> F32:
    noise = np.random.default_rng(0)
    # Directions of falling variance, as embeddings have them.
    spread = noise.standard_normal((rank, own)) / np.arange(1, rank + 1)[:, None]
    wide = noise.standard_normal((rows, rank)) @ spread + 0.3
    vectors: F32 = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def fitted(vectors: F32, dimension: int = 128, *, whiten: bool = False) -> Projection:
    fit = ProjectionFit(MODEL)
    for part in np.array_split(vectors, 3):
        fit.add(part)
    return fit.projection(dimension, whiten=whiten)


def test_it_is_the_principal_components_of_its_vectors() -> None:
    vectors = units(500)
    projection = fitted(vectors)
    assert (projection.own_dimension, projection.dimension, projection.images) == (200, 128, 500)
    np.testing.assert_allclose(projection.basis @ projection.basis.T, np.eye(128), atol=1e-5)
    centred = vectors - vectors.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    kept = float((lengths[:128] ** 2).sum() / (lengths**2).sum())
    assert projection.energy == pytest.approx(kept, abs=1e-4)
    wanted = np.abs(centred @ axes[:20].T)
    np.testing.assert_allclose(np.abs(projection.apply(vectors)[:, :20]), wanted, atol=1e-3)


def test_whitened_directions_vary_alike() -> None:
    vectors = units(2000)
    spread = fitted(vectors, whiten=True).apply(vectors).std(axis=0)
    np.testing.assert_allclose(spread, 1.0, atol=0.02)
    plain = fitted(vectors).apply(vectors).std(axis=0)
    assert plain[0] > 10 * plain[-1]


def test_the_length_of_a_vector_does_not_count() -> None:
    projection = fitted(units(300))
    some = units(4)
    np.testing.assert_allclose(projection.apply(some * 7), projection.apply(some), atol=1e-5)
    assert projection.apply(some).dtype == np.float32


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_what_has_no_direction_stays_without(value: float) -> None:
    projection = fitted(units(300))
    vectors = np.full((1, 200), value, dtype=np.float32)
    assert np.isnan(projection.apply(vectors)).all()


def test_a_file_brings_it_back_and_names_its_bytes(tmp_path: Path) -> None:
    projection = fitted(units(300), whiten=True)
    projection.save(tmp_path / "a.npz")
    fitted(units(300), whiten=True).save(tmp_path / "b.npz")
    first, second = (Projection.load(tmp_path / name) for name in ("a.npz", "b.npz"))
    assert first.sha256 == second.sha256 != ""
    np.testing.assert_array_equal(first.basis, projection.basis)
    np.testing.assert_array_equal(first.mean, projection.mean)
    assert (first.whitened, first.images, first.model_fingerprint) == (True, 300, MODEL)
    assert first.energy == projection.energy
    fitted(units(301)).save(tmp_path / "c.npz")
    assert Projection.load(tmp_path / "c.npz").sha256 != first.sha256


@pytest.mark.parametrize(
    ("rows", "rank", "dimension", "told"),
    [
        (0, 200, 128, "0 images cannot determine 128 dimensions: at least 129"),
        (128, 200, 128, "128 images cannot determine 128"),
        (500, 200, 300, "the model's vectors have 200 dimensions already"),
        (500, 50, 128, "differ in 50 directions only|differ in 51 directions only"),
    ],
)
def test_too_little_to_fit_is_refused(rows: int, rank: int, dimension: int, told: str) -> None:
    with pytest.raises(ProjectionUnfitted, match=told):
        fitted(units(rows, rank=rank), dimension)


def header(**changes: object) -> dict[str, object]:
    whole: dict[str, object] = {
        "format": "lookalike-projection",
        "version": VERSION,
        "whitened": False,
        "energy": 0.9,
        "images": 10,
        "model_fingerprint": MODEL,
    }
    return {**whole, **changes}


@pytest.mark.parametrize(
    ("head", "mean", "basis", "told"),
    [
        (header(version=VERSION + 1), np.zeros(4), np.eye(4)[:2], "update the embedder"),
        (header(format="other"), np.zeros(4), np.eye(4)[:2], "is no projection"),
        ({}, np.zeros(4), np.eye(4)[:2], "is no projection"),
        (header(), np.zeros(5), np.eye(4)[:2], "is no projection"),
        (header(), np.zeros(4), np.eye(4)[0], "is no projection"),
        (header(), np.zeros(4), np.eye(4)[:0], "is no projection"),
        (header(), np.zeros(4), np.full((2, 4), np.inf), "is no projection"),
    ],
)
def test_other_files_are_refused(
    head: dict[str, object], mean: F32, basis: F32, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.npz"
    arrays = {"mean": mean.astype(np.float32), "basis": basis.astype(np.float32)}
    np.savez(path, header=np.array(json.dumps(head)), mean=arrays["mean"], basis=arrays["basis"])
    with pytest.raises(ProjectionUnreadable, match=told):
        Projection.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"text"])
def test_files_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(ProjectionUnreadable, match="fit-projection"):
        Projection.load(tmp_path / "p.npz")
    with pytest.raises(ProjectionUnreadable, match="No such file"):
        Projection.load(tmp_path / "missing.npz")
