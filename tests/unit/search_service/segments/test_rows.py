from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from search_service.compiled.addresses import address_of
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


def test_rows_that_stay_on_the_disk_are_let_go_of_after_a_check(tmp_path: Path) -> None:
    layout = RowLayout(dimension=64, rows_per_block=16, rows_per_chunk=32_768)
    vectors = unit_vectors(33_000, dimension=64)
    writer = RowWriter(tmp_path, layout)
    writer.append(vectors)
    sums = writer.finish()
    kept, let_go = (
        RowMatrix(tmp_path, layout, len(vectors), sums, on_disk=on_disk)
        for on_disk in (False, True)
    )
    kept.check_all()
    let_go.check_all()
    assert resident_bytes(kept) == vectors.nbytes
    assert resident_bytes(let_go) < vectors.nbytes / 10
    let_go.expect(np.array([[-1, 0, 32_999], [5, 32_767, 32_768]]))
    assert np.array_equal(let_go.array, vectors)


def resident_bytes(matrix: RowMatrix) -> int:
    """What of the mapped rows is in this process's memory, whole pages counted once."""
    start = address_of(matrix.array)
    end = start + matrix.array.nbytes
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if head:
            inside = start <= int(head[1], 16) < end
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return min(total, matrix.array.nbytes)
