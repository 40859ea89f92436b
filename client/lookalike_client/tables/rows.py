"""A row of a table, of whatever file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.wire.errors import InvalidField


@dataclass(frozen=True, slots=True)
class Row:
    """Cells by column, from a place such as `line 7`; `error` where it cannot be read."""

    place: str
    number: int
    cells: Mapping[str, object]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that holds rows.

    `stored` is what the file's schema says besides columns, `expected` how many rows
    there are, where the file tells. `read` takes the column of vectors, which may then
    come as arrays; it can be called again. Cells of a file that is not `typed` are text;
    those of `text_columns` stay so.
    """

    path: Path
    columns: Sequence[str]
    read: Callable[[str], Iterator[Row]]
    stored: Mapping[bytes, bytes] = field(default_factory=dict)
    expected: int | None = None
    typed: bool = True
    text_columns: frozenset[str] = frozenset()


def unreadable(path: Path, why: str) -> InvalidField:
    """Return the error for a file that is not what its name says."""
    return InvalidField("file", f"{path.name}: {why}")
