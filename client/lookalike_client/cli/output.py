"""Printing: JSON for programs, tables for people."""

from __future__ import annotations

import base64
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from textwrap import wrap

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lookalike.wire.errors import LookalikeError
from lookalike_client.types import Metadata

# Where stdout is a file or a pipe: what terminals, mails and logs show without wrapping.
_PIPE_WIDTH = 80
# Narrower than this, wrapped text is hard to read.
_LEAST_WIDTH = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """Prints a command's result on stdout."""

    as_json: bool = False

    def document(self, value: object) -> None:
        """Print a value as one line of JSON."""
        print(json.dumps(plain(value), ensure_ascii=False, allow_nan=False), flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table; columns whose name ends with `>` are aligned to the right.

        It is as wide as the terminal at most, 80 columns where there is none. Where its
        words do not fit, each row is printed as a block of lines.
        """
        console = _console()
        if title:  # not the table's own, which would be wrapped to its width
            console.print(Text(title, style="bold"), soft_wrap=True)
        names = [each.removesuffix(">") for each in columns]
        cells = [[str(cell) for cell in row] for row in rows]
        widths = _widths(names, cells, console.width - 3 * len(names) - 1)
        if widths is None:
            for row in cells:
                self.facts({name: cell for name, cell in zip(names, row, strict=True) if cell})
                print()
            return
        table = Table(header_style="bold")
        for column, name, width in zip(columns, names, widths, strict=True):
            right = column.endswith(">")
            table.add_column(name, justify="right" if right else "left", width=width)
        for row in cells:
            table.add_row(*map(Text, row))
        console.print(table)

    def facts(self, pairs: Mapping[str, object], *, unwrapped: Sequence[str] = ()) -> None:
        """Print names and values in two columns; words are never cut.

        The values of `unwrapped` stay on one line, as commands to be copied must.
        """
        console = _console()
        indent = max((len(name) for name in pairs), default=0) + 2
        for name, value in pairs.items():
            text = str(value)
            width = len(text) + 1 if name in unwrapped else console.width - indent
            lines = wrap(
                text, max(width, _LEAST_WIDTH), break_long_words=False, break_on_hyphens=False
            )
            line = Text(name.ljust(indent), style="bold")
            line.append(("\n" + " " * indent).join(lines), style="not bold")
            console.print(line, soft_wrap=True)

    def paragraph(self, text: str) -> None:
        """Print a sentence for people, over several lines; words are never cut."""
        lines = wrap(text, _console().width, break_long_words=False, break_on_hyphens=False)
        print("\n".join(lines), flush=True)

    def text(self, line: str) -> None:
        """Print a line for people."""
        print(line, flush=True)


def complain(line: str) -> None:
    """Print a line on stderr, for people, whatever the output format."""
    print(line, file=sys.stderr, flush=True)


def failure(
    reason: str, message: str, field: str = "", retryable: bool = False
) -> dict[str, object]:
    """Return the JSON of a failure, of a command or of an item."""
    return {"reason": reason, "message": message, "field": field, "retryable": retryable}


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
            return failure(value.reason.name, value.message, value.field, value.retryable)
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


def _widths(names: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return the width of each column, or None where not every word has room.

    Columns of text give way to the others, down to their longest word.
    """
    columns = list(zip(names, *rows, strict=True))
    full = [max(map(cell_len, column)) for column in columns]
    least = [
        max(cell_len(word) for cell in each for word in cell.split() or ("",)) for each in columns
    ]
    least = [
        min(whole_width, max(longest, _LEAST_WIDTH))
        for whole_width, longest in zip(full, least, strict=True)
    ]
    widths = list(full)
    while sum(widths) > room:
        slack = [width - narrow for width, narrow in zip(widths, least, strict=True)]
        widest = max(range(len(widths)), key=lambda at: (slack[at] > 0, widths[at]), default=0)
        if not slack or slack[widest] <= 0:
            return None
        widths[widest] -= 1
    return widths


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
