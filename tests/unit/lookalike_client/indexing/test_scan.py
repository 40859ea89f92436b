"""Finding files and giving them ids."""

import os
import sys
from pathlib import Path

import pytest

from lookalike.wire.errors import InvalidField
from lookalike_client.indexing.scan import scan

JPEG, PNG = b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"
PSD = b"8BPS\x00\x01"


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
def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "fine.jpg")
    (tmp_path / "bad\udcff.jpg").write_bytes(b"x")
    (tmp_path / "bad\udcff.txt").write_bytes(b"x")

    found = scan([tmp_path], base=tmp_path)

    assert [file.id for file in found.files] == ["fine.jpg"]
    assert [skipped.file for skipped in found.skipped] == ["bad?.txt"]
    ((name, error),) = ((each.id, each.error) for each in found.refused)
    assert (name, "UTF-8" in error.message) == ("bad?.jpg", True)


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


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\x85.jpg", "\x1b[31m.jpg", "a\tb.jpg"])
def test_a_name_that_cannot_be_an_id_is_refused_and_printed_on_one_line(
    tmp_path: Path, name: str
) -> None:
    touch(tmp_path, "fine.jpg", name)

    found = scan([tmp_path], base=tmp_path)

    assert [file.id for file in found.files] == ["fine.jpg"]
    (refused,) = found.refused
    assert refused.id.isprintable()
    assert "control character" in refused.error.message


def test_a_path_that_is_too_long_for_an_id_is_refused_with_its_prefix(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "é" * 100 + ".jpg")

    found = scan([tmp_path], prefix="x" * 400, base=tmp_path)

    assert [file.key for file in found.files] == ["a.jpg"]
    assert ["604" in each.error.message for each in found.refused] == [True]


def test_the_first_bytes_count_and_not_the_name(tmp_path: Path) -> None:
    pictures = {"IMG_1.psd": JPEG, "scan.pic": PNG, "bare": JPEG, "photo.txt": PNG}
    for name, head in (pictures | {"real.jpg": PSD, "b.psd": b"text", "notes": b"BM"}).items():
        (tmp_path / name).write_bytes(head)

    found = scan([tmp_path], base=tmp_path)

    assert {file.id for file in found.files} == pictures.keys()
    skipped = {each.file: (each.format, each.reason) for each in found.skipped}
    assert skipped.keys() == {"real.jpg", "b.psd", "notes"}
    assert skipped["real.jpg"] == ("PSD", "PSD is not supported: convert it to JPEG or PNG")
    assert skipped["notes"] == ("", "not an image")


def test_a_named_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PSD)

    found = scan([tmp_path / "a.jpg"], base=tmp_path)

    assert (found.files, [each.id for each in found.refused]) == ([], ["a.jpg"])
    assert "PSD is not supported" in found.refused[0].error.message


def test_what_nobody_means_is_passed_over_and_counted(tmp_path: Path) -> None:
    folders = ("@eaDir", "#recycle", ".Trash-1000", "lost+found", ".thumbnails", ".git", "__MACOSX")
    touch(tmp_path, "a.jpg", "b/c.jpg", "._a.jpg", "b/Thumbs.db", ".DS_Store")
    touch(tmp_path, *(f"{name}/x.jpg" for name in folders), "b/@eaDir/c.jpg/SYNOPHOTO_THUMB_M.jpg")
    touch(tmp_path, "state/up.lock", "state/x.jpg", "served/lock", "served/catalog.json")

    found = scan([tmp_path], base=tmp_path)

    assert [file.id for file in found.files] == ["a.jpg", "b/c.jpg"]
    assert found.skipped == []
    assert found.clutter_files == 3
    assert found.clutter_folders == dict.fromkeys(folders, 1) | {"@eaDir": 2} | {
        "state": 1,
        "served": 1,
    }


def test_a_hidden_folder_that_is_named_itself_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, ".photos/a.jpg")

    assert [file.id for file in scan([tmp_path / ".photos"], base=tmp_path).files] == ["a.jpg"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    touch(tmp_path, "a.jpg")

    found = scan([tmp_path, tmp_path / "pipe.jpg"], base=tmp_path)

    assert [file.id for file in found.files] == ["a.jpg"]
    assert [each.file for each in found.skipped] == ["pipe.jpg"]
    assert [each.id for each in found.refused] == ["pipe.jpg"]


@pytest.mark.parametrize("prefix", ["a\n", "\udcff", "x" * 513])
def test_a_prefix_that_no_id_can_begin_with_is_refused_once(tmp_path: Path, prefix: str) -> None:
    touch(tmp_path, "a.jpg")

    with pytest.raises(InvalidField, match="control characters"):
        scan([tmp_path], prefix=prefix, base=tmp_path)
