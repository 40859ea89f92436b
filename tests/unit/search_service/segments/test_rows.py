from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search_service.segments.building.row_writer import RowWriter
from search_service.segments.errors import SegmentDamaged
from search_service.segments.rows import RowLayout, RowMatrix
from tests.unit.search_service.segments.support import unit_vectors


def test_an_extension_shares_full_chunks(tmp_path: Path) -> None:
    layout = RowLayout(dimension=48, rows_per_block=64, rows_per_chunk=1_024)
    vectors = unit_vectors(5_000)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    writer = RowWriter(first, layout)
    for start in range(0, 3_000, 700):
        writer.append(vectors[start : min(start + 700, 3_000)])
    sums = writer.finish()
    writer = RowWriter(second, layout)
    writer.adopt(first, 3_000, sums)
    writer.append(vectors[3_000:])
    assert np.array_equal(writer.read(np.array([4_999, 0, 2_999])), vectors[[4_999, 0, 2_999]])
    matrix = RowMatrix(second, layout, 5_000, writer.finish())
    matrix.check_all()
    assert np.array_equal(matrix.array, vectors)
    shared = [layout.chunk_path(second, chunk).stat().st_nlink for chunk in range(5)]
    assert shared == [2, 2, 1, 1, 1]


def test_an_extension_refuses_a_damaged_last_chunk(tmp_path: Path) -> None:
    layout = RowLayout(dimension=48, rows_per_block=64, rows_per_chunk=1_024)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    writer = RowWriter(first, layout)
    writer.append(unit_vectors(1_500))
    sums = writer.finish()
    path = layout.chunk_path(first, 1)
    data = bytearray(path.read_bytes())
    data[70 * 4 * 48] ^= 4
    path.write_bytes(data)
    with pytest.raises(SegmentDamaged, match="row block"):
        RowWriter(second, layout).adopt(first, 1_500, sums)


@pytest.mark.parametrize("dimension", [2, 3, 512, 768, 4_096])
def test_full_chunks_end_on_pages_and_blocks(dimension: int) -> None:
    layout = RowLayout.of(dimension)
    assert layout.rows_per_chunk * 4 * dimension % 65_536 == 0
    assert layout.rows_per_chunk % layout.rows_per_block == 0
    sizes = layout.chunk_sizes(layout.rows_per_chunk + 1)
    assert sizes == [layout.rows_per_chunk * 4 * dimension, 4 * dimension]
