import numpy as np
import pytest

from lookalike.wire import vectors
from lookalike.wire.errors import DimensionMismatch, InvalidField, VectorNotFinite


def test_a_vector_survives_the_wire() -> None:
    vector = np.array([0.25, -1.5, 3.0e-8], dtype=np.float32)

    assert vectors.decode(vectors.encode(vector), field="v").tolist() == vector.tolist()


def test_bytes_are_little_endian_float32() -> None:
    assert vectors.encode(np.array([1.0], dtype=np.float32)) == b"\x00\x00\x80\x3f"


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00" * 5])
def test_a_length_that_is_no_multiple_of_four_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidField) as caught:
        vectors.decode(data, field="queries[0].vector_f32_le")

    assert caught.value.field == "queries[0].vector_f32_le"


def test_another_dimension_is_refused_with_both_numbers() -> None:
    with pytest.raises(DimensionMismatch, match=r"2 dimensions.*has 3"):
        vectors.decode(b"\x00" * 8, field="v", dimension=3)


def test_normalise_gives_unit_norm() -> None:
    unit = vectors.normalise(np.array([3.0, 4.0], dtype=np.float32), field="v")

    assert unit == pytest.approx([0.6, 0.8])
    assert unit.dtype == np.float32


def test_a_unit_vector_keeps_its_bytes() -> None:
    random = np.random.default_rng(7).standard_normal(512).astype(np.float32)
    once = vectors.normalise(random, field="v")

    assert vectors.normalise(once, field="v").tobytes() == once.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(value: float) -> None:
    with pytest.raises(VectorNotFinite, match="NaN or infinity"):
        vectors.normalise(np.array([1.0, value], dtype=np.float32), field="v")


def test_zeros_are_refused() -> None:
    with pytest.raises(VectorNotFinite, match="no direction"):
        vectors.normalise(np.zeros(4, dtype=np.float32), field="v")


def test_tiny_and_huge_vectors_keep_their_direction() -> None:
    for scale in (1e-15, 1e18):
        unit = vectors.normalise(np.array([3.0, 4.0], dtype=np.float32) * scale, field="v")
        assert unit == pytest.approx([0.6, 0.8])
