"""Metadata of files from a CSV table."""

from __future__ import annotations

import csv
import math
import re
from decimal import Decimal
from pathlib import Path

from lookalike.wire.errors import InvalidField
from lookalike_client.types import JsonValue, Metadata

# A JSON number: "007" and "1e5x" stay text, as do ids with leading zeros.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
# Larger whole numbers change in float64, which is what JSON numbers are here.
_EXACT_INTEGER = 2**53


def read(path: Path) -> dict[str, Metadata]:
    """Read a table with a `file` column; return each row's other columns by file.

    Cells that look like JSON numbers become numbers, `true` and `false` booleans;
    empty cells are left out; all else is text.

    Raises:
        InvalidField: it has no `file` column, a row is ragged, or a file comes twice.
        OSError: it cannot be read.
    """
    table: dict[str, Metadata] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, strict=True)
            if "file" not in (reader.fieldnames or ()):
                raise InvalidField("metadata-csv", "the table needs a column `file`")
            for row in reader:
                name, metadata = _row(row, reader.line_num)
                if name in table:
                    raise InvalidField(
                        "metadata-csv", f"line {reader.line_num}: {name!r} comes twice"
                    )
                table[name] = metadata
    except UnicodeDecodeError as error:
        raise InvalidField("metadata-csv", "the table must be UTF-8") from error
    except csv.Error as error:
        raise InvalidField("metadata-csv", f"line {reader.line_num}: {error}") from error
    return table


def _row(row: dict[str | None, str | list[str] | None], line: int) -> tuple[str, Metadata]:
    metadata: dict[str, JsonValue] = {}
    name = ""
    for column, cell in row.items():
        if column is None or not isinstance(cell, str):
            raise InvalidField(
                "metadata-csv", f"line {line}: has another number of cells than the header"
            )
        if column == "file":
            name = cell
        elif cell != "":
            metadata[column] = value_of(cell)
    return name.removeprefix("./"), metadata


def value_of(cell: str) -> JsonValue:
    """Return a cell as a number, a boolean or text."""
    if cell in ("true", "false"):
        return cell == "true"
    if not _NUMBER.fullmatch(cell):
        return cell
    number = float(cell)
    if not number.is_integer():
        return number if math.isfinite(number) else cell
    whole = int(Decimal(cell))  # not int(number), which may be a rounded one
    return whole if abs(whole) <= _EXACT_INTEGER else cell
