"""Rows of a table and the files that they mean."""

import unicodedata
from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField
from lookalike_client.indexing.matching import Matches, match
from lookalike_client.indexing.metadata_csv import Row
from lookalike_client.indexing.scan import scan

NFC = unicodedata.normalize("NFC", "Café/Größe.jpg")
NFD = unicodedata.normalize("NFD", NFC)


def matched(folder: Path, names: list[str], rows: list[str], prefix: str = "") -> Matches:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8\xff")
    files = scan([folder], prefix=prefix, base=folder.parent).files
    table = [Row(name, {"row": index}, index + 2) for index, name in enumerate(rows)]
    return match(table, files, folders=[folder.parent, folder])


@pytest.mark.parametrize(
    ("name", "row"),
    [
        *[("a/b.jpg", "a/b.jpg"), ("a/b.jpg", "./a/b.jpg"), ("a/b.jpg", ".\\a\\b.jpg")],
        *[("a/b.jpg", "a//b.jpg"), ("a/b.jpg", " a/b.jpg "), ("a/b.jpg", "'a/b.jpg'")],
        *[("a/b.jpg", "photos/a/b.jpg"), ("a/b.jpg", "..\\data\\photos\\a\\b.jpg")],
        *[("a/b.jpg", "C:\\data\\photos\\a\\b.jpg"), ("a/b.jpg", "/else/photos/a/b.jpg")],
        *[("a/b.jpg", "A/B.JPG"), ("a/b.jpg", "x/a/b.jpg"), (NFD, NFC), (NFC, NFD)],
        *[(NFD, f"photos/{NFC}"), ("a b.jpg", "file:///data/photos/a%20b.jpg")],
        ("back\\slash.jpg", "back\\slash.jpg"),
    ],
)
def test_a_row_finds_its_file_however_it_is_written(tmp_path: Path, name: str, row: str) -> None:
    found = matched(tmp_path / "photos", [name, "other.jpg"], [row], prefix="x/")

    assert found.metadata == {f"x/{name}": {"row": 0}}
    assert found.unmatched_rows == []
    assert found.files_without_row == ["other.jpg"]


def test_absolute_paths_are_found_through_links(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    matched(folder, ["a.jpg"], [])
    (tmp_path / "link").symlink_to(folder)

    by_path = matched(folder, ["a.jpg"], [str(folder / "a.jpg")])
    by_link = matched(tmp_path / "link", [], [str(folder / "a.jpg")])

    assert by_path.metadata == by_link.metadata == {"a.jpg": {"row": 0}}


def test_the_exact_name_goes_first(tmp_path: Path) -> None:
    names = ["a.jpg", "A.jpg", "photos/a.jpg"]
    found = matched(tmp_path / "photos", names, ["photos/a.jpg", "A.jpg", "a.jpg", "a.JPG"])

    assert found.metadata == {
        "photos/a.jpg": {"row": 0},
        "A.jpg": {"row": 1},
        "a.jpg": {"row": 2},
    }
    assert found.unmatched_rows == ["a.JPG"]


def test_a_file_of_another_folder_is_not_taken_for_one_of_the_same_name(tmp_path: Path) -> None:
    found = matched(tmp_path / "photos", ["a.jpg"], ["dogs/a.jpg", "/photo/a.jpg", "a.png", ""])

    assert found.metadata == {}
    assert len(found.unmatched_rows) == found.rows == 4
    assert found.mostly_strangers
    assert "4 of 4 rows" in found.describe()
    assert "'dogs/a.jpg', '/photo/a.jpg', 'a.png', …" in found.describe()
    assert "files without a row: 'a.jpg'" in found.describe()


def test_half_of_the_rows_is_not_most(tmp_path: Path) -> None:
    found = matched(tmp_path / "photos", ["a.jpg"], ["a.jpg", "b.jpg"])

    assert not found.mostly_strangers


@pytest.mark.parametrize("rows", [["a.jpg", "./a.jpg"], ["./a.jpg", ".\\a.jpg"]])
def test_two_rows_of_one_file_are_refused(tmp_path: Path, rows: list[str]) -> None:
    with pytest.raises(InvalidField, match=r"one file, 'a\.jpg'"):
        matched(tmp_path / "photos", ["a.jpg"], rows)
