"""Rows of NumPy files: a matrix, and ids beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from lookalike_client.tables.rows import Row, Source, unreadable

VECTOR = "vector"
ID = "id"
# What people call the file of ids that belongs to the matrix NAME.npy.
_ID_FILES = (
    *("{stem}.ids.npy", "{stem}_ids.npy", "{stem}-ids.npy", "{stem}.ids.txt", "{stem}_ids.txt"),
    *("{stem}.txt", "{stem}.csv", "ids.npy", "ids.txt", "ids.csv"),
)


def open_matrix(
    path: Path, ids: Path | None, table: Callable[[Path], Source]
) -> tuple[Source, Path | None]:
    """Return the rows of a .npy file [N, D], and the file of ids that was taken.

    `ids` is a vector of ids (.npy), a text file with one a line, or a table with a row
    for each vector, whose other columns are then metadata; `table` opens one.

    Raises:
        InvalidField: a file is none of these, or they have different lengths.
        OSError: a file cannot be read.
    """
    matrix = _load(path)
    if matrix.ndim != 2:
        raise unreadable(path, f"holds an array of shape {matrix.shape}; vectors are [N, D]")
    ids = ids or _beside(path)
    if ids is None:
        return _of_arrays(path, {VECTOR: matrix}), None
    if ids.suffix == ".npy":
        named = _load(ids)
        if named.ndim != 1 or len(named) != len(matrix):
            raise unreadable(
                ids, f"has shape {named.shape}; the {len(matrix):,} vectors need as many ids"
            )
        return _of_arrays(path, {ID: named, VECTOR: matrix}), ids
    return _with_table(path, matrix, table(ids)), ids


def open_arrays(path: Path) -> Source:
    """Return the rows of a .npz file: arrays of one length, by name.

    Raises:
        InvalidField: its arrays are of different lengths, or cannot be read.
        OSError: it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError, KeyError) as error:
        raise unreadable(path, "no NumPy file of plain arrays") from error
    if not arrays or len({each.shape[:1] for each in arrays.values()}) != 1:
        raise unreadable(path, "its arrays have different lengths")
    return _of_arrays(path, arrays)


def _load(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        try:  # what cannot be mapped, such as an empty array
            return np.load(path, allow_pickle=False)
        except (ValueError, EOFError):
            raise unreadable(path, "no NumPy file of numbers or text") from error


def _beside(path: Path) -> Path | None:
    for name in _ID_FILES:
        found = path.with_name(name.format(stem=path.stem))
        if found != path and found.is_file():
            return found
    return None


def _of_arrays(path: Path, arrays: Mapping[str, Any]) -> Source:
    count = len(next(iter(arrays.values())))

    def read(_vector: str) -> Iterator[Row]:
        for number in range(count):
            cells = {name: _cell(array[number]) for name, array in arrays.items()}
            yield Row(f"row {number + 1:,}", number + 1, cells)

    return Source(path, list(arrays), read, expected=count)


def _cell(value: Any) -> object:
    if isinstance(value, np.ndarray):
        return np.array(value)
    return value.item() if isinstance(value, np.generic) else value


def _with_table(path: Path, matrix: Any, table: Source) -> Source:
    """Return rows of a matrix and, in the same order, of a table."""

    def read(_vector: str) -> Iterator[Row]:
        for number, (vector, row) in enumerate(zip_longest(matrix, table.read("")), 1):
            if vector is None or row is None:
                why = "a row of ids without a vector" if vector is None else "a vector without ids"
                yield Row(f"row {number:,}", number, {}, why)
            else:
                cells = {**row.cells, VECTOR: np.array(vector)}
                yield Row(f"row {number:,}", number, cells, row.error)

    columns = [*(each for each in table.columns if each != VECTOR), VECTOR]
    return Source(path, columns, read, expected=len(matrix), typed=table.typed)
