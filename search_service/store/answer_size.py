"""How much one answer reads of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lookalike.wire.errors import LimitExceeded

# What one answer can carry: the largest message. More is never held in memory.
MAX_READ_BYTES = 64 << 20


class AnswerSize:
    """Bytes that were read for one answer."""

    def __init__(self) -> None:
        self.nbytes = 0

    def add(self, row: Sequence[Any]) -> None:
        """Count a row.

        Raises:
            LimitExceeded: an answer cannot be so large.
        """
        self.add_bytes(nbytes(row))

    def add_bytes(self, count: int) -> None:
        """Count bytes of rows, with the error of `add`."""
        self.nbytes += count
        if self.nbytes > MAX_READ_BYTES:
            raise LimitExceeded(
                "fields",
                f"the items asked for are larger than {MAX_READ_BYTES >> 20} MiB: "
                "ask for fewer items or fields",
            )


def nbytes(row: Sequence[Any]) -> int:
    """Return the bytes of a row's values, which follow six narrow columns."""
    return sum(len(part) for part in row[6:] if part is not None)
