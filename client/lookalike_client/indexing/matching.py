"""Finds which file a row of a metadata table means: paths are written in many ways."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lookalike.wire.errors import InvalidField
from lookalike_client.indexing.metadata_csv import FIELD, Row
from lookalike_client.indexing.scan import FileEntry, printable
from lookalike_client.types import Metadata

# Examples of each side in a message.
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Matches:
    """Metadata by file id; rows that mean no file, files that no row means.

    `idle_rows` mean a file that is there and is not indexed.
    """

    metadata: dict[str, Metadata] = field(default_factory=dict)
    idle_rows: Sequence[str] = ()
    unmatched_rows: Sequence[str] = ()
    files_without_row: Sequence[str] = ()

    @property
    def rows(self) -> int:
        """All rows of the table."""
        return len(self.metadata) + len(self.idle_rows) + len(self.unmatched_rows)

    @property
    def said(self) -> dict[str, Metadata]:
        """Metadata by file id, without rows whose cells are all empty: they say nothing."""
        return {file_id: metadata for file_id, metadata in self.metadata.items() if metadata}

    @property
    def mostly_strangers(self) -> bool:
        """Whether more rows match nothing than something."""
        return 2 * len(self.unmatched_rows) > self.rows

    def describe(self) -> str:
        """Say how many rows match no file, with examples of both sides."""
        text = f"{len(self.unmatched_rows):,} of {self.rows:,} rows of the metadata table match no "
        text += f"file: {examples(self.unmatched_rows)}"
        if self.files_without_row:
            text += f"; files without a row: {examples(self.files_without_row)}"
        return text


def match(
    rows: Sequence[Row],
    files: Sequence[FileEntry],
    *,
    others: Sequence[FileEntry] = (),
    folders: Iterable[Path],
) -> Matches:
    """Find the file of each row; a row means one file, and a file has one row.

    A name is looked for as it stands first, then with its form put right (slashes,
    `./`, blanks, the composition of accents), then as a path from one of `folders`
    or an absolute one, then below the name of a folder that is indexed, and last
    without regard to case. A looser way finds only files that no row has by then.
    `others` are files that are there and are not indexed.

    Raises:
        InvalidField: two rows name one file, but for its form.
    """
    everything = [*files, *others]
    claimed: dict[int, Row] = {}  # by the place of the file
    strict: set[int] = set()
    left = list(rows)
    roots = {_nfc(Path(os.path.abspath(file.root)).name) for file in everything}
    for names_of, keys_of, is_strict in _ways(list(folders)):
        if not left:
            break
        table: dict[str, set[int]] = {}
        for place, file in enumerate(everything):
            for key in keys_of(file):
                table.setdefault(key, set()).add(place)
        still: list[Row] = []
        taken: dict[int, Row] = {}
        for row in left:
            found = {
                place
                for name in names_of(row.name, roots)
                if len(ids := table.get(name, set())) == 1
                for place in ids
            }
            free = found - (claimed.keys() - strict if is_strict else claimed.keys())
            if len(free) != 1:
                still.append(row)
                continue
            (place,) = free
            other = taken.get(place) or (claimed.get(place) if is_strict else None)
            if other is not None:
                raise InvalidField(
                    FIELD,
                    f"line {row.line}: {row.name!r} and line {other.line}: {other.name!r} are "
                    f"one file, {printable(everything[place].key)!r}",
                )
            taken[place] = row
        claimed.update(taken)
        strict.update(taken)
        left = still
    return Matches(
        {files[at].id: row.metadata for at, row in claimed.items() if at < len(files)},
        [printable(row.name) for at, row in claimed.items() if at >= len(files)],
        [printable(row.name) for row in left],
        [printable(file.key) for at, file in enumerate(files) if at not in claimed],
    )


def examples(names: Sequence[str]) -> str:
    """Return the first few names, quoted."""
    some = ", ".join(f"'{name}'" for name in names[:_EXAMPLES])
    return f"{some}, …" if len(names) > _EXAMPLES else some


_Names = Callable[[str, set[str]], Iterable[str]]
_Keys = Callable[[FileEntry], Iterable[str]]


def _ways(folders: Sequence[Path]) -> Iterator[tuple[_Names, _Keys, bool]]:
    """Yield the ways to look for a row's file, the strictest first."""

    def paths(name: str, roots: set[str]) -> list[str]:
        return [_nfc(os.path.abspath(folder / _tidy(name))) for folder in folders]

    def any_case(name: str, roots: set[str]) -> list[str]:
        return [each.casefold() for each in (_tidy(name), *_below(name, roots))]

    yield (lambda name, roots: [name]), (lambda file: {file.key, file.id}), True
    yield (lambda name, roots: [_tidy(name)]), _tidy_keys, True
    yield paths, _paths_of, False
    yield _below, _tidy_keys, False
    yield any_case, (lambda file: {key.casefold() for key in _tidy_keys(file)}), False


def _tidy_keys(file: FileEntry) -> set[str]:
    return {_nfc(file.key), _nfc(file.id)}


def _paths_of(file: FileEntry) -> set[str]:
    real = os.path.join(_real(file.root), os.path.relpath(file.path, file.root))
    return {_nfc(os.path.abspath(file.path)), _nfc(os.path.normpath(real))}


@lru_cache(maxsize=64)
def _real(folder: Path) -> str:
    return os.path.realpath(folder)


def _tidy(name: str) -> str:
    """Return a path with slashes, without `./`, blanks around it and double slashes."""
    text = name.strip().strip("\"'")
    if text.casefold().startswith("file:"):
        text = unquote(urlsplit(text).path)
    text = posixpath.normpath(text.replace("\\", "/")) if text else ""
    return _nfc(text)


def _below(name: str, roots: set[str]) -> list[str]:
    """Return what follows the name of a folder that is indexed, wherever that stands."""
    parts = _tidy(name).split("/")
    return ["/".join(parts[at + 1 :]) for at, part in enumerate(parts[:-1]) if part in roots]


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
