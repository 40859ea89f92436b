"""Which images a challenge is about: what is left out is named, what cannot be is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lookalike.wire.errors import InvalidField
from lookalike_client.challenge.labels import LabelledImages, read_labelled


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "images"
    found.mkdir()
    for number in range(4):
        Image.new("RGB", (8, 8), (number * 60, 0, 0)).save(found / f"{number}.png")
    return found


def read(
    folder: Path, text: str, *, label: str | None = None, sublabel: str | None = None
) -> LabelledImages:
    table = folder.parent / "labels.csv"
    table.write_text(text, encoding="utf-8")
    return read_labelled(folder, table, label_column=label, sublabel_column=sublabel)


def test_labels_stay_text(folder: Path) -> None:
    images = read(
        folder,
        'file,label,sublabel\n0.png,007,1.0\n1.png,7,"a ""b"", c"\n2.png,true,日本\n3.png,%_\\,\n',
    )

    assert images.labels == {"0.png": "007", "1.png": "7", "2.png": "true", "3.png": "%_\\"}
    assert images.sublabels == {"0.png": "1.0", "1.png": 'a "b", c', "2.png": "日本"}
    assert images.left_out == []


def test_what_takes_no_part_is_named(folder: Path) -> None:
    (folder / "notes.txt").write_text("no image")
    images = read(folder, "file,label\n0.png,a\n1.png,b\n2.png,\ngone.png,a\n")

    assert [file.id for file in images.files] == ["0.png", "1.png"]
    left = {each.why: list(each.names) for each in images.left_out}
    assert left["rows of the table without an image"] == ["gone.png"]
    assert left["images without a row in the table"] == ["3.png"]
    assert left["images whose label is empty"] == ["2.png"]
    assert ["notes.txt"] in left.values()
    assert images.sublabel_column == ""


def test_columns_have_many_names(folder: Path) -> None:
    images = read(folder, "path,Sub-Category,Category\n0.png,p,a\n1.png,q,b\n")
    assert (images.label_column, images.sublabel_column) == ("Category", "Sub-Category")

    images = read(folder, "file,kind,type\n0.png,p,a\n", label="type", sublabel="KIND")
    assert (images.labels, images.sublabels) == ({"0.png": "a"}, {"0.png": "p"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\n0.png,a\n0.png,b\n", "comes twice"),
        ("file,label\n0.png,a\n./0.png,b\n", "are one file"),
        ("file,label\n0.png,a,b\n", "line 2: has 3 cells"),
        ("name,label\n0.png,a\n", "needs a column `file`"),
        ("file,kind\n0.png,a\n", "no column `label` with values; it has 'kind'"),
        ("file\n0.png\n", "beside the files it has none"),
        ("file,label\n8.png,a\n9.png,b\n", "2 of 2 rows of the metadata table match no file"),
        ("file,label\n0.png, \n", "no image has a label"),
        (f"file,label\n0.png,{'x' * 600}\n", "has 600 bytes"),
        ("", "is empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(folder: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read(folder, text)

    assert (refused.value.field, says in refused.value.message) == ("labels", True)


def test_a_column_that_is_asked_for_must_be_there(folder: Path) -> None:
    with pytest.raises(InvalidField, match="no column `colour` with values"):
        read(folder, "file,label\n0.png,a\n", sublabel="colour")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "readme.txt").write_text("nothing here")
    with pytest.raises(InvalidField, match=r"no image in .*, but 1 other files") as refused:
        read(folder, "file,label\na,b\n")

    assert refused.value.field == "images"
