"""Rows of CSV, JSON lines, JSON, and of a plain list of ids."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from lookalike_client.indexing.metadata_csv import value_of
from lookalike_client.metadata_values import is_large
from lookalike_client.tables.rows import Row, Source, unreadable

# A vector of 4,096 numbers as text, many times over; the library's bound is 128 KiB.
_LONGEST_CELL = 16 << 20
# 16 digits that follow no decimal point: 2**53 has as many.
_MANY_DIGITS = re.compile(rb"(?<![\d.])\d{16}")
_BLOCK_BYTES = 1 << 20
_KEPT_BYTES = 64
# Columns are those of so many lines: later ones may bring more, which are left out.
_HEAD_ROWS = 1_000
# Where programs put the list of rows in an object.
_LISTS = ("rows", "points", "data", "records", "items", "entities", "vectors", "result")
# A collection of lists, one for each column, as Chroma's `get` returns it.
_ID_LISTS = ("ids", "id")


def open_csv(path: Path) -> Source:
    """Return the rows of a CSV file; its separator is what the header has most of.

    Cells are text, empty ones None.

    Raises:
        InvalidField: it has no header, or one with a column twice.
        OSError: it cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        line = file.readline()
    separator = max(",;\t|", key=line.count)
    header = [each.strip() for each in next(csv.reader([line], delimiter=separator), [])]
    if not any(header):
        raise unreadable(path, "the table has no header")
    twice = sorted({each for each in header if header.count(each) > 1})
    if twice:
        raise unreadable(path, f"the header names {twice[0]!r} twice")

    def read(_vector: str) -> Iterator[Row]:
        csv.field_size_limit(_LONGEST_CELL)
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.reader(file, delimiter=separator)
            next(reader)
            number = 0
            while True:
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    cells, why = [], str(error)
                else:
                    why = ""
                if cells is None:
                    return
                if not cells and not why:
                    continue  # an empty line
                number += 1
                if not why and len(cells) != len(header):
                    why = f"{len(cells):,} cells; the header has {len(header):,}"
                yield _text_row(f"line {reader.line_num:,}", number, header, cells, why)

    return Source(path, header, read, typed=False, text_columns=_text_columns(path, read))


def _text_columns(path: Path, read: Callable[[str], Iterator[Row]]) -> frozenset[str]:
    """Return the columns in which a whole number is too large to be exact.

    Most files hold no such digits at all, which a look at their bytes tells.
    """
    with path.open("rb") as file:
        kept = b""
        while block := file.read(_BLOCK_BYTES):
            if _MANY_DIGITS.search(kept + block):
                break
            kept = block[-_KEPT_BYTES:]
        else:
            return frozenset()
    return frozenset(
        name
        for row in read("")
        for name, cell in row.cells.items()
        if isinstance(cell, str) and is_large(cell)
    )


def cell_value(text: object) -> object:
    """Return a cell of a CSV file as None, a number, a boolean or text."""
    return value_of(text) if isinstance(text, str) and text else None


def open_lines(path: Path) -> Source:
    """Return the rows of a file with a JSON object in each line.

    Raises:
        OSError: it cannot be read.
    """

    def read(_vector: str) -> Iterator[Row]:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            number = 0
            for line_number, line in enumerate(file, 1):
                if line.strip():
                    number += 1
                    yield _json_row(f"line {line_number:,}", number, line)

    columns: dict[str, None] = {}
    for row in islice(read(""), _HEAD_ROWS):
        columns.update(dict.fromkeys(row.cells))
    return Source(path, list(columns), read)


def open_json(path: Path) -> Source:
    """Return the rows of a JSON file, which is read as a whole.

    It is a list of objects, an object that holds one, or an object of lists of one
    length, one for each column.

    Raises:
        InvalidField: it is none of these.
        OSError: it cannot be read.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        if path.suffix == ".json" and _first_line_is_object(path):
            return open_lines(path)
        raise unreadable(path, "no JSON") from error
    found = _listed(document)
    if found is None:
        raise unreadable(path, "no list of objects in this JSON")

    def read(_vector: str) -> Iterator[Row]:
        for number, each in enumerate(found, 1):
            why = "" if isinstance(each, dict) else "no JSON object"
            yield Row(f"row {number:,}", number, each if not why else {}, why)

    columns: dict[str, None] = {}
    for each in found[:_HEAD_ROWS]:
        columns.update(dict.fromkeys(each if isinstance(each, dict) else ()))
    return Source(path, list(columns), read, expected=len(found))


def open_ids(path: Path) -> Source:
    """Return the lines of a text file as ids.

    Raises:
        OSError: it cannot be read.
    """

    def read(_vector: str) -> Iterator[Row]:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                yield _text_row(f"line {number:,}", number, ["id"], [line.rstrip("\r\n")], "")

    return Source(path, ["id"], read)


def _text_row(place: str, number: int, names: Sequence[str], cells: list[str], why: str) -> Row:
    if not why and any("\udc80" <= letter <= "\udcff" for cell in cells for letter in cell):
        why = "not UTF-8"
    found = {} if why else {name: cell or None for name, cell in zip(names, cells, strict=True)}
    return Row(place, number, found, why)


def _json_row(place: str, number: int, line: str) -> Row:
    try:
        line.encode()
        cells = json.loads(line)
    except UnicodeEncodeError:
        return Row(place, number, {}, "not UTF-8")
    except (ValueError, RecursionError):
        return Row(place, number, {}, "no JSON")
    if not isinstance(cells, dict):
        return Row(place, number, {}, "no JSON object")
    return Row(place, number, cells)


def _first_line_is_object(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        return not _json_row("", 1, file.readline()).error


def _listed(document: Any) -> list[Any] | None:
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        return None
    for name in _ID_LISTS:
        ids = document.get(name)
        if isinstance(ids, list):
            return _transposed(document, ids, name)
    for name in _LISTS:
        if name in document:
            return _listed(document[name])
    return None


def _transposed(document: Mapping[str, Any], ids: list[Any], name: str) -> list[Any]:
    """Return rows of columns; what is not as long as `ids` is no column."""
    columns = {
        key: value
        for key, value in document.items()
        if isinstance(value, list) and len(value) == len(ids)
    }
    columns[name] = ids
    names = list(columns)
    return [dict(zip(names, each, strict=True)) for each in zip(*columns.values(), strict=True)]
