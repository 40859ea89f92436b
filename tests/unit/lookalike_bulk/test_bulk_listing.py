"""What a bulk job lists and reads, and what it keeps of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from lookalike_bulk.blocks import BlockFolder, Failure
from lookalike_bulk.listing import Row, list_source, read_block
from search_service.domain.mutations import Upsert


def _picture(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path)
    return path.read_bytes()


def test_a_folder_is_listed_by_blocks_with_the_ids_of_index(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.png", "a/d.png"):
        _picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")

    listing = list_source(str(tmp_path), "new/", 2)

    assert [len(block) for block in listing.blocks] == [2, 1]
    ids = [row.id for block in listing.blocks for row in block]
    assert sorted(ids) == ["new/a/c.png", "new/a/d.png", "new/b.png"]


def test_parquet_is_read_by_row_groups(tmp_path: Path) -> None:
    data = _picture(tmp_path / "one.png")
    table = pa.table(
        {
            "id": ["a", "b", "bad\n", "c"],
            "image": [data] * 4,
            "metadata": ['{"n": 1}', None, None, "[1]"],
        }
    )
    pq.write_table(table, tmp_path / "images.parquet", row_group_size=2)

    listing = list_source(str(tmp_path / "images.parquet"), "p-", 512)
    images = [image for block in listing.blocks for image in read_block(block, "p-")]

    assert len(listing.blocks) == 2
    assert [(image.id, bool(image.error)) for image in images] == [
        ("p-a", False),
        ("p-b", False),
        ("p-bad\n", True),
        ("p-c", True),
    ]
    assert images[0].metadata == {"n": 1}
    assert images[0].data == data


def test_a_file_that_is_gone_is_a_failure_of_its_own(tmp_path: Path) -> None:
    data = _picture(tmp_path / "there.png")
    rows = [Row("gone", str(tmp_path / "gone.png")), Row("there", str(tmp_path / "there.png"))]

    gone, there = read_block(rows, "")

    assert "cannot be read" in gone.error
    assert there.data == data


def test_blocks_are_kept_whole(tmp_path: Path) -> None:
    folder = BlockFolder(tmp_path)
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    items = [
        Upsert("a", rows[0], {"k": "v"}, b"facts", b"thumb"),
        Upsert("b", rows[1], {}, b"", b""),
    ]
    folder.write(3, items, [Failure("c", "IMAGE_UNREADABLE", "broken")])
    folder.write(4, [], [])

    first, second = folder.items(3)

    assert folder.finished() == {3, 4}
    assert (first.id, first.metadata, first.facts, first.thumbnail) == (
        *("a", {"k": "v"}),
        *(b"facts", b"thumb"),
    )
    assert np.array_equal(second.vector, rows[1])
    assert folder.counts(3) == (2, [Failure("c", "IMAGE_UNREADABLE", "broken")])
    assert list(folder.items(4)) == []
