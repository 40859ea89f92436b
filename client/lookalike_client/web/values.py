"""What requests of the page hold, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.wire.errors import InvalidField


def text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text.

    Raises:
        InvalidField: it is another kind of value, or missing where there is no default.
    """
    value = body.get(name, default)
    if not isinstance(value, str):
        raise InvalidField(name, "must be a text")
    return value


def number(
    body: Mapping[str, Any], name: str, default: float | None, least: float, most: float
) -> float | None:
    """Return a number in a range, or the default.

    Raises:
        InvalidField: it is no number, or outside the range.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidField(name, f"must be a number from {least:g} to {most:g}")
    return float(value)


def whole(body: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number in a range; texts of digits, as in addresses, count."""
    value = body.get(name, default)
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidField(name, f"must be a whole number from {least:,} to {most:,}")
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Return a switch, off by default."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidField(name, "must be true or false")
    return value


def texts(body: Mapping[str, Any], name: str, most: int) -> Sequence[str]:
    """Return a list of texts; none where it is missing."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidField(name, "must be a list of texts")
    if len(value) > most:
        raise InvalidField(name, f"has at most {most:,} entries")
    return value


def objects(body: Mapping[str, Any], name: str, most: int) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects; none where it is missing."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidField(name, "must be a list of objects")
    if len(value) > most:
        raise InvalidField(name, f"has at most {most:,} entries")
    return value
