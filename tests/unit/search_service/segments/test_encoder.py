from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search_service.compiled.nibbles import LEVELS_A_STEP
from search_service.domain.collection import Dtype
from search_service.segments.encoder import Encoder, fit_encoder
from search_service.segments.errors import SegmentDamaged
from tests.unit.search_service.segments.support import DIMENSION, unit_vectors

SAMPLE = unit_vectors(3_000)


def test_the_basis_keeps_as_much_variance_as_any_could() -> None:
    encoder = fit_encoder(SAMPLE, 16, Dtype.BF16)
    values = np.linalg.eigvalsh(np.cov(SAMPLE.T))[::-1]
    assert encoder.width == 16
    assert encoder.captured_energy == pytest.approx(values[:16].sum() / values.sum(), abs=1e-4)
    assert encoder.energy_of(SAMPLE) == pytest.approx(encoder.captured_energy, abs=1e-4)
    assert np.allclose(encoder.basis.T @ encoder.basis, np.eye(16), atol=1e-5)


@pytest.mark.parametrize("graph_dimension", [0, DIMENSION, DIMENSION + 5])
def test_nothing_is_reduced_without_fewer_components(graph_dimension: int) -> None:
    encoder = fit_encoder(SAMPLE, graph_dimension, Dtype.F32)
    assert not encoder.reduces
    assert encoder.width == DIMENSION
    assert encoder.captured_energy == encoder.energy_of(SAMPLE) == 1.0
    assert np.array_equal(encoder.encode(SAMPLE[:5]), SAMPLE[:5])


def test_bytes_are_off_by_half_a_step_at_most() -> None:
    encoder = fit_encoder(SAMPLE, 16, Dtype.I8)
    whole = encoder.reduce(SAMPLE)
    levels = encoder.encode(SAMPLE)
    assert levels.dtype == np.int8
    inside = np.abs(whole) < 126.5 * encoder.quantum
    assert inside.mean() > 0.999
    off = np.abs(levels * encoder.quantum - whole)[inside]
    assert off.max() <= 0.501 * encoder.quantum


@pytest.mark.parametrize("graph_dimension", [0, 16, DIMENSION + 5])
def test_sixteen_steps_fit_rotated_components(graph_dimension: int) -> None:
    encoder = fit_encoder(SAMPLE, graph_dimension, Dtype.I4)
    width = graph_dimension if graph_dimension == 16 else DIMENSION
    assert (encoder.width, encoder.reduces) == (width, True)
    whole = encoder.reduce(SAMPLE)
    steps = np.clip(encoder.encode(SAMPLE).astype(np.int64) // LEVELS_A_STEP, -8, 7)
    centres = (steps * LEVELS_A_STEP + (LEVELS_A_STEP - 1) / 2) * encoder.quantum
    # Of a normal distribution, 16 equal steps lose 1.15 % (Max, 1960).
    assert np.square(centres - whole).sum() < 0.02 * np.square(whole).sum()


def test_rotating_for_bytes_changes_no_distance_and_evens_the_spread() -> None:
    uneven = SAMPLE * np.geomspace(1.0, 0.001, DIMENSION, dtype=np.float32)
    uneven /= np.linalg.norm(uneven, axis=1, keepdims=True)
    plain, rotated = (fit_encoder(uneven, 16, dtype) for dtype in (Dtype.F32, Dtype.I8))
    assert np.allclose(rotated.basis.T @ rotated.basis, np.eye(16), atol=1e-5)
    of_plain, of_rotated = plain.reduce(uneven[:200]), rotated.reduce(uneven[:200])
    assert np.allclose(of_plain @ of_plain.T, of_rotated @ of_rotated.T, atol=1e-5)
    extents = [np.abs(encoder.reduce(uneven)).max(axis=0) for encoder in (plain, rotated)]
    assert extents[0].max() / extents[0].min() > 2 * extents[1].max() / extents[1].min()
    off = np.square(rotated.encode(uneven) * rotated.quantum - rotated.reduce(uneven)).sum()
    # What bytes of the plain components would lose: a uniform error of one step each.
    step = np.quantile(np.abs(plain.reduce(uneven)), 0.9999) / 127.0
    assert off < 0.8 * uneven.shape[0] * 16 * step**2 / 12


@pytest.mark.parametrize("graph_dimension", [0, 16])
def test_survives_writing(tmp_path: Path, graph_dimension: int) -> None:
    encoder = fit_encoder(SAMPLE, graph_dimension, Dtype.I8)
    path = tmp_path / "encoder"
    encoder.write(path)
    read = Encoder.read(path, DIMENSION, graph_dimension, encoder.quantum, encoder.captured_energy)
    assert np.array_equal(read.encode(SAMPLE), encoder.encode(SAMPLE))
    with pytest.raises(SegmentDamaged, match="manifest"):
        Encoder.read(path, DIMENSION, graph_dimension + 1, encoder.quantum, 1.0)


def test_a_sample_without_variance_is_encoded_all_the_same() -> None:
    same = np.repeat(SAMPLE[:1], 50, axis=0)
    for dtype in Dtype:
        encoder = fit_encoder(same, 8, dtype)
        assert np.isfinite(encoder.encode(SAMPLE[:10]).astype(np.float32)).all()
