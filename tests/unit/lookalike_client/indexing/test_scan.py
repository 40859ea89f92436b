"""Finding files and giving them ids."""

import sys
from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField
from lookalike_client.indexing.scan import scan


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_folder_gives_paths_relative_to_itself(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a/c.png", "a/notes.txt", ".hidden.jpg", ".cache/d.jpg", "e.webp")

    found = scan([tmp_path], prefix="p/", base=Path.cwd())

    assert [(file.id, file.key) for file in found.files] == [
        ("p/b.JPG", "b.JPG"),
        ("p/e.webp", "e.webp"),
        ("p/a/c.png", "a/c.png"),
    ]
    assert [skipped.file for skipped in found.skipped] == ["a/notes.txt"]


def test_a_named_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "here/picture", "there/other.dat")

    found = scan([tmp_path / "here/picture", tmp_path / "there/other.dat"], base=tmp_path / "here")

    assert [file.id for file in found.files] == ["picture", "other.dat"]


def test_a_file_named_twice_is_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")

    found = scan([tmp_path, tmp_path / "a.jpg"], base=tmp_path)

    assert [file.id for file in found.files] == ["a.jpg"]


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.jpg", "y/a.jpg")

    with pytest.raises(InvalidField, match="--prefix"):
        scan([tmp_path / "x", tmp_path / "y"], base=tmp_path)


@pytest.mark.skipif(
    sys.getfilesystemencoding() != "utf-8", reason="in this locale every name is text"
)
def test_names_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "fine.jpg")
    (tmp_path / "bad\udcff.jpg").write_bytes(b"x")
    (tmp_path / "bad\udcff.txt").write_bytes(b"x")

    found = scan([tmp_path], base=tmp_path)

    assert [file.id for file in found.files] == ["fine.jpg"]
    reasons = {skipped.file: skipped.reason for skipped in found.skipped}
    assert reasons.keys() == {"bad?.jpg", "bad?.txt"}
    assert "UTF-8" in reasons["bad?.jpg"]


def test_a_broken_link_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")

    found = scan([tmp_path], base=tmp_path)

    assert found.files == []
    assert [skipped.file for skipped in found.skipped] == ["gone.jpg"]


def test_a_link_to_a_folder_is_told_and_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path)

    found = scan([tmp_path], base=tmp_path)

    assert [file.id for file in found.files] == ["a/b.jpg"]
    assert [skipped.file for skipped in found.skipped] == ["a/again"]
    assert "not followed" in found.skipped[0].reason
