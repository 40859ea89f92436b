"""Lists that callers hand in: a string is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from lookalike.wire.errors import InvalidField

T = TypeVar("T")


def texts(field: str, values: Iterable[str]) -> list[str]:
    """Return strings that a caller handed in as a list, which a string is not.

    Python takes "12" for the list of "1" and "2": as ids to delete, the wrong ones.

    Raises:
        InvalidField: it is one string, or holds something else than text that UTF-8 has.
    """
    found = listed(field, values)
    for index, value in enumerate(found):
        if not isinstance(value, str):
            raise InvalidField(
                f"{field}[{index}]", f"must be a string, got {type(value).__name__} {value!r}"
            )
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidField(f"{field}[{index}]", "is no text that UTF-8 has") from error
    return found


def listed(field: str, values: Iterable[T]) -> list[T]:
    """Return what a caller handed in as a list.

    Raises:
        InvalidField: it is a string or bytes, or cannot be gone through.
    """
    if isinstance(values, str | bytes | bytearray | memoryview):
        raise InvalidField(field, f"must be a list, got the {type(values).__name__} {values!r}")
    try:
        return list(values)
    except TypeError as error:
        raise InvalidField(field, f"must be a list, got {type(values).__name__}") from error
