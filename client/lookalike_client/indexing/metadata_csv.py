"""Reads metadata of files from a table: separated by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lookalike.wire.errors import InvalidField
from lookalike_client.metadata_values import is_large, number
from lookalike_client.types import JsonValue, Metadata

FIELD = "metadata-csv"

# Names of the column that tells the file, the best first; case and blanks do not count.
_FILE_COLUMNS = (
    *("file", "filename", "file_name", "file name", "filepath", "file_path", "file path"),
    *("path", "image", "image_path", "image path", "img", "image_name", "image name"),
)
_SEPARATORS = (",", ";", "\t", "|")
# What spreadsheets write before a table to tell its separator.
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")

# A JSON number: "007" and "1e5x" stay text, as do ids with leading zeros.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """A row: how it calls its file, what it says of it, and the line that it ends on."""

    name: str
    metadata: Metadata
    line: int


def read(path: Path, *, as_text: bool = False, text_column: str | None = None) -> list[Row]:
    """Read a table with a column of files; its other columns are their metadata.

    The column is called `file`, `filename`, `path` or the like. Cells that look like
    JSON numbers become numbers, `true` and `false` booleans; empty cells are left out;
    all else is text. Where a whole number is too large to be exact, its column is text.
    With `as_text` every cell stays text, and with `text_column` those of that column.

    Raises:
        InvalidField: it has no column of files, a column comes twice or has no name,
            a row is ragged, or a file comes twice.
        OSError: it cannot be read.
    """
    text = _text(path)
    told = _SEPARATOR_LINE.match(text)
    lines = 0
    if told is not None:
        text, lines = text[told.end() :], 1
    separator, header = _header(text, told[1] if told is not None else "")
    columns = [name.strip() for name in header]
    at = _file_column(columns)
    # "file, label": the blank belongs to the separator, in the rows as well.
    loose = any(name.startswith(" ") for name in header[1:])
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=loose, strict=True
    )
    found: dict[str, _Cells] = {}
    large: set[int] = set()
    try:
        for cells in islice(_filled(reader), 1, None):  # after the header
            line = lines + cells.line
            values = [cell.strip() for cell in cells.values] if loose else cells.values
            _check_row(values, columns, line)
            if values[at] in found:
                raise InvalidField(FIELD, f"line {line}: {values[at]!r} comes twice")
            found[values[at]] = _Cells(values, line)
            large.update(index for index, cell in enumerate(values) if is_large(cell))
    except csv.Error as error:
        raise InvalidField(FIELD, f"line {lines + reader.line_num}: {error}") from error

    texts = {
        index
        for index, column in enumerate(columns)
        if as_text or index in large or column == text_column
    }

    def metadata(values: list[str]) -> Metadata:
        return {
            column: cell if index in texts else value_of(cell)
            for index, (column, cell) in enumerate(zip(columns, values, strict=True))
            if index != at and cell != ""
        }

    return [Row(name, metadata(cells.values), cells.line) for name, cells in found.items()]


def value_of(cell: str) -> JsonValue:
    """Return a cell as the number or boolean that it looks like, else as text.

    A whole number beyond ±2**53, which would become another one, stays text; so must
    the other cells of its column: see `is_large`.
    """
    if cell in ("true", "false"):
        return cell == "true"
    if not _NUMBER.fullmatch(cell) or is_large(cell):
        return cell
    found = float(cell)
    return number(found) if math.isfinite(found) else cell


def _text(path: Path) -> str:
    data = path.read_bytes()
    # A spreadsheet's "Unicode text" is UTF-16 with a mark at its beginning.
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidField(
            FIELD, f"the table must be UTF-8, and line {line} is not: save it as UTF-8"
        ) from error


def _header(text: str, told: str) -> tuple[str, list[str]]:
    """Return the separator and the header's cells, as they stand.

    Without a separator that was told, it is the one with which a column of files is
    found, or which gives the most columns.
    """
    headers: list[tuple[bool, int, str, list[str]]] = []
    for separator in (told,) if told else _SEPARATORS:
        try:
            first = next(_filled(csv.reader(io.StringIO(text, newline=""), delimiter=separator)))
        except (StopIteration, csv.Error):
            continue
        names = [name.strip().casefold() for name in first.values]
        known = any(name in _FILE_COLUMNS for name in names)
        headers.append((known, len(names), separator, first.values))
    if not headers:
        raise InvalidField(FIELD, "the table needs a column `file`, and has none: it is empty")
    _, _, separator, header = max(headers, key=lambda each: each[:2])
    return separator, header


def _file_column(columns: list[str]) -> int:
    """Return which column names the file.

    Raises:
        InvalidField: none does, or one comes twice.
    """
    found = ", ".join(f"`{name}`" for name in columns)
    folded = [name.casefold() for name in columns]
    best = next((name for name in _FILE_COLUMNS if name in folded), None)
    if best is None:
        raise InvalidField(FIELD, f"the table needs a column `file`; it has {found}")
    if folded.count(best) > 1:
        raise InvalidField(FIELD, f"the table has the column of files twice: {found}")
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise InvalidField(
            FIELD, f"the table has a column twice: `{twice[0]}`; rename one of {found}"
        )
    return folded.index(best)


def _check_row(values: list[str], columns: list[str], line: int) -> None:
    if len(values) != len(columns):
        raise InvalidField(
            FIELD, f"line {line}: has {len(values)} cells, and the header {len(columns)}"
        )
    for place, (column, cell) in enumerate(zip(columns, values, strict=True), 1):
        if cell and not column:  # an empty column does no harm: spreadsheets leave some
            raise InvalidField(
                FIELD, f"column {place} of the table has no name: name or remove it (line {line})"
            )


@dataclass(frozen=True, slots=True)
class _Cells:
    values: list[str]
    line: int


def _filled(reader: csv._reader) -> Iterator[_Cells]:  # type: ignore[name-defined]  # of the stubs
    """Yield the rows in which anything stands."""
    for values in reader:
        if any(values):
            yield _Cells(values, reader.line_num)
