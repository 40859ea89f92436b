"""Finds image files and gives them ids."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.wire.errors import ImageUnreadable, InvalidField, LimitExceeded, LookalikeError
from lookalike_client.indexing import clutter
from lookalike_client.indexing.formats import HEAD_BYTES, IMAGE_EXTENSIONS, Format, format_of
from lookalike_client.indexing.ledger import FileFailure

# The contract's form of an id.
_MAX_ID_BYTES = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file to index under `id`; `key` is its path in the folder `root`.

    `further` are files of more pictures of the same item.
    """

    id: str
    key: str
    path: Path
    root: Path
    further: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is skipped, and why; `format`: of an image or document that is not decoded."""

    file: str
    reason: str
    format: str = ""


@dataclass(slots=True)
class Scan:
    """What was found: files to index, files passed over, and files that cannot be indexed.

    `others` are the skipped and the refused ones. Folders that nobody means are counted
    by name, and such files together.
    """

    files: list[FileEntry] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    refused: list[FileFailure] = field(default_factory=list)
    others: list[FileEntry] = field(default_factory=list)
    clutter_folders: Counter[str] = field(default_factory=Counter)
    clutter_files: int = 0


def scan(paths: Iterable[Path], *, prefix: str = "", base: Path) -> Scan:
    """Find the images in folders by their first bytes, and take single files as they are.

    The id of a file in a folder is its path relative to that folder; of a file that
    is named itself, its path relative to `base` where it lies below it, else its
    name. `prefix` goes before each. A file whose name cannot be an id is refused,
    and the others are found all the same.

    Raises:
        InvalidField: two files would get the same id, or no id can begin with `prefix`.
    """
    if prefix and _id_error(prefix) is not None:
        raise InvalidField("prefix", "must be text without control characters, and short")
    files: dict[str, FileEntry] = {}
    found = Scan()
    for path in paths:
        root = path if path.is_dir() else path.parent
        keys = _walk(path, found) if path.is_dir() else _named(path, base, found)
        for key, file in keys:
            entry = FileEntry(prefix + key, key, file, root)
            if (error := _id_error(entry.id)) is not None:
                found.refused.append(FileFailure(printable(entry.id), error))
                found.others.append(entry)
                continue
            clash = files.setdefault(entry.id, entry)
            if clash is not entry and not file.samefile(clash.path):
                raise InvalidField(
                    "id",
                    f"two files would get the id {entry.id!r}: index their folders one at "
                    "a time, with another --prefix for each",
                )
    found.files.extend(files.values())
    return found


def printable(name: str) -> str:
    """Return a name as it can be printed: those on a disk need not be text of one line."""
    text = name.encode("utf-8", "replace").decode()
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def _walk(folder: Path, found: Scan) -> Iterator[tuple[str, Path]]:
    skipped = found.skipped

    def unreadable(error: OSError) -> None:
        name = os.path.relpath(error.filename or folder, folder)
        skipped.append(_skipped(name, f"cannot be read: {error.strerror}"))

    for root, folders, names in os.walk(folder, onerror=unreadable):
        _leave_out_clutter(Path(root), folders, found)
        for name in folders:
            link = Path(root) / name
            if link.is_symlink():  # which the walk passes over: it may lead in circles
                key = link.relative_to(folder).as_posix()
                skipped.append(_skipped(key, "a link to a folder, which is not followed"))
        for name in sorted(names):
            if clutter.is_clutter_file(name):
                found.clutter_files += 1
                continue
            path = Path(root) / name
            key = path.relative_to(folder).as_posix()
            if (passed_over := _passed_over(path, key)) is not None:
                skipped.append(passed_over)
                found.others.append(FileEntry(key, key, path, folder))
            else:
                yield key, path


def _leave_out_clutter(root: Path, folders: list[str], found: Scan) -> None:
    """Sort the folders of `root`, in place, and keep those that are to be walked."""
    kept = []
    for name in sorted(folders):
        if clutter.is_clutter_folder(root / name):
            found.clutter_folders[printable(name)] += 1
        else:
            kept.append(name)
    folders[:] = kept


def _passed_over(path: Path, key: str) -> SkippedFile | None:
    """Return why a file in a folder is passed over; None where it is taken."""
    is_image = path.suffix.lower() in IMAGE_EXTENSIONS
    if not path.is_file():
        return _skipped(key, "not a regular file")
    try:
        found = _format(path)
    except OSError as error:
        # What is called an image is taken: sending it reports that it cannot be read.
        return None if is_image else _skipped(key, f"cannot be read: {error.strerror}")
    if found is None:
        return None if is_image else _skipped(key, "not an image")
    if found.supported:
        return None
    return SkippedFile(printable(key), found.refusal, found.name)


def _named(path: Path, base: Path, found: Scan) -> Iterator[tuple[str, Path]]:
    """Yield a file that was named itself, unless its format is known and not supported."""
    key = _name_of(path, base)
    if path.exists() and not path.is_file():  # such as a pipe, which might never end
        error: LookalikeError = InvalidField("image", "is not a regular file")
        found.refused.append(FileFailure(printable(key), error))
        return
    try:
        known = _format(path)
    except OSError:  # which sending reports
        known = None
    if known is not None and not known.supported:
        error = ImageUnreadable(known.refusal, field="image")
        found.refused.append(FileFailure(printable(key), error))
        found.others.append(FileEntry(key, key, path, path.parent))
    else:
        yield key, path


def _format(path: Path) -> Format | None:
    with path.open("rb") as handle:
        return format_of(handle.read(HEAD_BYTES), path.name)


def _id_error(item_id: str) -> LookalikeError | None:
    """Return why a name cannot be an id."""
    try:
        size = len(item_id.encode("utf-8"))
    except UnicodeEncodeError:
        return InvalidField("id", "its name is not UTF-8: rename the file")
    if size > _MAX_ID_BYTES:
        return LimitExceeded(
            "id",
            f"its path has {size:,} bytes, and an id at most {_MAX_ID_BYTES}: index a folder "
            "further down, with --prefix",
        )
    if _CONTROL.search(item_id):
        return InvalidField("id", "its name holds a control character: rename the file")
    return None


def _skipped(name: str, reason: str) -> SkippedFile:
    return SkippedFile(printable(name), reason)


def _name_of(path: Path, base: Path) -> str:
    try:
        return path.resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        return path.name
