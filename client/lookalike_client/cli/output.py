"""Printing: JSON for programs, tables for people."""

from __future__ import annotations

import base64
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lookalike.wire.errors import LookalikeError
from lookalike_client.types import Metadata

# Wide enough for any table where stdout is a file or a pipe, and nothing is cut.
_PIPE_WIDTH = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """Prints a command's result on stdout."""

    as_json: bool = False

    def document(self, value: object) -> None:
        """Print a value as one line of JSON."""
        print(json.dumps(plain(value), ensure_ascii=False, allow_nan=False), flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table; columns whose name ends with `>` are aligned to the right."""
        console = _console()
        if title:  # not the table's own, which would be wrapped to its width
            console.print(Text(title, style="bold"))
        table = Table(header_style="bold")
        for column in columns:
            right = column.endswith(">")
            table.add_column(
                column.removesuffix(">"),
                justify="right" if right else "left",
                overflow="fold",
                no_wrap=right,
            )
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        console.print(table)

    def facts(self, pairs: Mapping[str, object]) -> None:
        """Print names and values in two columns."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in pairs.items():
            table.add_row(name, Text(str(value)))
        _console().print(table)

    def text(self, line: str) -> None:
        """Print a line for people."""
        print(line, flush=True)


def complain(line: str) -> None:
    """Print a line on stderr, for people, whatever the output format."""
    print(line, file=sys.stderr, flush=True)


def metadata_text(metadata: Metadata, longest: int = 100) -> str:
    """Return metadata in short: `key=value` pairs, cut when they are long."""
    pairs = (
        f"{key}={value if isinstance(value, str) else json.dumps(plain(value))}"
        for key, value in sorted(metadata.items())
    )
    text = ", ".join(pairs)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain(value: object) -> object:
    """Return `value` as what JSON can hold: objects, lists, strings, numbers."""
    match value:
        case LookalikeError():
            return {
                "reason": value.reason.name,
                "message": value.message,
                "field": value.field,
                "retryable": value.retryable,
            }
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case datetime():
            return value.isoformat()
        case np.ndarray():
            return [float(each) for each in value]
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = (each.name for each in dataclasses.fields(value))
            return {name: plain(getattr(value, name)) for name in names}
        case _:
            return value


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
