"""Which files are whole, and which are still being written."""

import io
import os
import random
from pathlib import Path

import pytest
from PIL import Image

from lookalike_client.indexing.scan import FileEntry
from lookalike_client.syncing.endings import lacks_its_end
from lookalike_client.syncing.files import Reader
from lookalike_client.syncing.state import Claim


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    pixels = random.Random(1).randbytes(80 * 60 * 3)
    Image.frombytes("RGB", (80, 60), pixels).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_a_file_that_lacks_its_end_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    whole = picture(kind)
    for size in (0, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:size])
        assert lacks_its_end(path)
    for data in (whole, whole + b"\0" * 30):
        path.write_bytes(data)
        assert not lacks_its_end(path)


def test_the_end_of_a_preview_is_not_that_of_its_picture(tmp_path: Path) -> None:
    path, whole = tmp_path / "picture", picture("JPEG")
    preview = b"Exif\0\0" + picture("JPEG")
    data = whole[:2] + b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview + whole[2:]

    for size in (len(preview) // 2, len(preview) + 6, len(data) - 20):
        path.write_bytes(data[:size])
        assert lacks_its_end(path)
    path.write_bytes(data)
    assert not lacks_its_end(path)


class Clock:
    """The time that a test sets; the files' own is `now_s` at its start."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def taken(reader: Reader, path: Path, **known: set[str]) -> bool:
    entry = FileEntry("a", "a", path, path.parent)
    found = reader.read([entry], {}, known.get("known", set()), path.stat().st_dev)
    assert len(found.files) + len(found.moving) == 1
    return bool(found.files)


def test_a_file_is_taken_when_it_has_been_still(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(picture("PNG"))
    clock = Clock(path.stat().st_ctime)
    reader = Reader(2.0, 30.0, clock)

    assert not taken(reader, path)
    clock.now_s += 1.9
    assert not taken(reader, path)
    clock.now_s += 0.2
    assert taken(reader, path)


def test_a_file_that_grows_is_waited_for_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(picture("PNG")[:500])
    clock = Clock(path.stat().st_ctime)
    reader = Reader(2.0, 30.0, clock)
    for _ in range(3):
        clock.now_s += 5
        assert not taken(reader, path)  # still, but not whole
    clock.now_s += 30
    assert taken(reader, path)  # cut for good


def test_a_time_that_has_not_come_does_not_keep_a_file_out(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(picture("PNG"))
    clock = Clock(path.stat().st_ctime - 3_600)
    reader = Reader(2.0, 30.0, clock)

    assert not taken(reader, path)
    clock.now_s += 2.1
    assert taken(reader, path)


def test_known_content_is_whole_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(picture("PNG")[:500])
    reader = Reader(2.0, 30.0, Clock(path.stat().st_ctime))
    entry = FileEntry("a", "a", path, tmp_path)
    moving = reader.read([entry], {}, set(), path.stat().st_dev)
    assert moving.moving == [entry]
    again = Reader(0.0, 0.0, Clock(path.stat().st_ctime + 1))
    (file,) = again.read([entry], {}, set(), path.stat().st_dev).files

    assert taken(reader, path, known={file.sha256})


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(picture("PNG"))
    entry, device = FileEntry("a", "a", path, tmp_path), path.stat().st_dev
    clock = Clock(path.stat().st_ctime + 60)
    (file,) = Reader(2.0, 30.0, clock).read([entry], {}, set(), device).files
    claim = Claim("a", "a", "as claimed", "", True, file.stamp)

    (again,) = Reader(2.0, 30.0, clock).read([entry], {"a": claim}, set(), device).files
    assert again.sha256 == "as claimed"
    os.utime(path, ns=(1, 1))
    (changed,) = Reader(2.0, 30.0, clock).read([entry], {"a": claim}, set(), device).files
    assert changed.sha256 == file.sha256


def test_a_stamp_of_a_file_that_just_changed_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(picture("PNG"))
    entry = FileEntry("a", "a", path, tmp_path)
    clock = Clock(path.stat().st_ctime + 1)

    (file,) = Reader(0.0, 30.0, clock).read([entry], {}, set(), path.stat().st_dev).files
    assert file.stamp == ""
