"""What the contract bounds: numbers, choices, and how much one request holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from lookalike.wire.errors import InvalidField

T = TypeVar("T")

# The contract's bound on ids, updates and failures in one request.
_MAX_BATCH = 1000


def not_negative(number: int, field: str) -> int:
    """Return `number`, which the contract holds unsigned in 32 bits."""
    if not 0 <= number < 2**32:
        raise InvalidField(field, f"must not be negative or above 4,294,967,295, got {number}")
    return number


def choose(field: str, name: str, table: Mapping[str, T]) -> T:
    """Return what `table` holds under `name`.

    Raises:
        InvalidField: there is no such choice; the message names those there are.
    """
    try:
        return table[name]
    except KeyError as error:
        raise InvalidField(
            field, f"must be one of {', '.join(filter(None, table))}; got {name!r}"
        ) from error


def parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield `values` in pieces that one request may hold."""
    for start in range(0, len(values), _MAX_BATCH):
        yield values[start : start + _MAX_BATCH]
