"""Finds image files and gives them ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.wire.errors import InvalidField

# The formats that the embedder decodes. In a folder other files are passed over; a
# file that is named itself is sent whatever its name.
IMAGE_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file to index under `id`; `key` is what a metadata table calls it."""

    id: str
    key: str
    path: Path


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is skipped, and why."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found."""

    files: list[FileEntry]
    skipped: list[SkippedFile]


def scan(paths: Iterable[Path], *, prefix: str = "", base: Path) -> Scan:
    """Find the images in folders, and take single files as they are.

    The id of a file in a folder is its path relative to that folder; of a file that
    is named itself, its path relative to `base` where it lies below it, else its
    name. `prefix` goes before each.

    Raises:
        InvalidField: two files would get the same id.
    """
    files: dict[str, FileEntry] = {}
    skipped: list[SkippedFile] = []
    for path in paths:
        found = _walk(path, skipped) if path.is_dir() else [(_name_of(path, base), path)]
        for key, file in found:
            if not _is_text(key):
                skipped.append(_skipped(key, "its name is not UTF-8"))
                continue
            entry = FileEntry(prefix + key, key, file)
            clash = files.setdefault(entry.id, entry)
            if clash is not entry and not file.samefile(clash.path):
                raise InvalidField(
                    "id",
                    f"two files would get the id {entry.id!r}: index their folders one at "
                    "a time, with another --prefix for each",
                )
    return Scan(list(files.values()), skipped)


def _walk(folder: Path, skipped: list[SkippedFile]) -> Iterator[tuple[str, Path]]:
    def unreadable(error: OSError) -> None:
        name = os.path.relpath(error.filename or folder, folder)
        skipped.append(_skipped(name, f"cannot be read: {error.strerror}"))

    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            link = Path(root) / name
            if link.is_symlink():  # which the walk passes over: it may lead in circles
                key = link.relative_to(folder).as_posix()
                skipped.append(_skipped(key, "a link to a folder, which is not followed"))
        for name in sorted(names):
            path = Path(root) / name
            key = path.relative_to(folder).as_posix()
            if name.startswith("."):
                continue  # such as .DS_Store: nobody means them
            if path.suffix.lower() not in IMAGE_EXTENSIONS:
                skipped.append(_skipped(key, "not an image by its name"))
            elif not path.is_file():
                skipped.append(_skipped(key, "not a regular file"))
            else:
                yield key, path


def _skipped(name: str, reason: str) -> SkippedFile:
    """Name a file as it can be printed: names on a disk need not be text."""
    return SkippedFile(name.encode("utf-8", "replace").decode(), reason)


def _name_of(path: Path, base: Path) -> str:
    try:
        return path.resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        return path.name


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
