"""Values that callers put into metadata, as JSON has them: exactly, or not at all.

Numbers are float64 on the wire and in the store, so whole numbers are exact within ±2**53.
What would become another number is refused, with its key.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy as np

from lookalike.wire.errors import InvalidField, LimitExceeded
from lookalike_client.types import JsonValue

# Float64 holds every whole number up to here.
EXACT_INTEGER = 2**53
# The contract's bounds on metadata, as compact JSON; an element takes two bytes at least.
_MAX_LEVELS = 8
MAX_BYTES = 16 * 1024
_MAX_ELEMENTS = MAX_BYTES // 2
# Longer keys, ids and numbers are not shown in full.
_SHOWN = 64
_SHOWN_BITS = 256
# Larger powers of ten are no float64, and may not fit in memory as an integer.
_LARGEST_EXPONENT = 308
_DAYS = ("Y", "M", "W", "D")
# A whole number as databases, and as pandas, write it. What has an exponent is a measure.
_DIGITS = re.compile(r"[+-]?(\d+)(?:\.0*)?", re.ASCII)
# 2**53 has 16 digits.
_LARGE_DIGITS = 16


def quoted(name: object) -> str:
    """Return a name of a caller's in double quotes, on one line, cut if it is long."""
    text = name if isinstance(name, str) else described(name)
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return json.dumps(cut, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def described(name: object) -> str:
    """Return what stands where a text should, in a few words."""
    try:
        return repr(name)
    except ValueError:  # of an integer with thousands of digits
        return type(name).__name__


def number(value: float) -> int | float:
    """Return a number without a fraction as `int`, where it is exact."""
    return int(value) if value.is_integer() and abs(value) <= EXACT_INTEGER else value


def is_large(text: str) -> bool:
    """Whether a text is a whole number, in digits, that no number can hold exactly."""
    if len(text) < _LARGE_DIGITS:
        return False
    match = _DIGITS.fullmatch(text)
    digits = match[1].lstrip("0") if match is not None else ""
    return len(digits) > _LARGE_DIGITS or int(digits or "0") > EXACT_INTEGER


def plain(metadata: object) -> dict[str, JsonValue]:
    """Return an object of a caller's as JSON.

    Besides JSON's own, these are taken: NumPy scalars and arrays; `Decimal` that float64
    holds digit by digit; times, as text of ISO 8601, without an offset as UTC; `UUID`,
    paths and enumerations, by their text or value.

    Raises:
        InvalidField: a key or value is none of these, or would be changed.
        LimitExceeded: it nests deeper, or holds more, than the contract allows.
    """
    if not isinstance(metadata, Mapping):
        raise InvalidField("metadata", f"must be an object (dict), got {type(metadata).__name__}")
    return _Reader().read(metadata, "", 1)


def scalar(value: object, key: str) -> JsonValue:
    """Return a value that holds no others; `key` is where it stands, such as `camera.iso`.

    Raises:
        InvalidField: it is not one, or would be changed.
    """
    match value:
        case Enum():
            return scalar(value.value, key)
        case None | bool():
            return value
        case np.bool_():
            return bool(value)
        case np.timedelta64() | timedelta():
            raise refused(key, "a duration is no JSON value: give it in seconds")
        case np.datetime64():
            return _numpy_time(value, key)
        case int() | np.integer():
            return _integer(int(value), key)
        case float() | np.floating():
            return _float(value, key)
        case Decimal():
            return _decimal(value, key)
        case str():
            return _text(str(value), key)
        case datetime():
            return _time(value, key)
        case date() | time() | UUID():
            return value.isoformat() if isinstance(value, date | time) else str(value)
        case PurePath():
            return _text(str(value), key)
        case bytes() | bytearray() | memoryview():
            raise refused(key, "bytes are no JSON value: encode them as text, such as base64")
        case set() | frozenset():
            raise refused(key, "a set is no JSON value: give a list")
    raise refused(key, f"{type(value).__name__} is not a JSON value")


def inexact(value: str, key: str) -> InvalidField:
    """Return the refusal of a number that would become another one."""
    return refused(key, f"{value} cannot be kept exactly as a number; store it as text")


def refused(key: str, why: str) -> InvalidField:
    """Return the refusal of the value under a key."""
    return InvalidField(f"metadata.{key}" if key else "metadata", f"metadata {quoted(key)}: {why}")


class _Reader:
    """Reads one object; counts what it holds, as an object may hold itself many times."""

    def __init__(self) -> None:
        self._elements = 0

    def read(self, value: Mapping[object, object], path: str, level: int) -> dict[str, JsonValue]:
        self._enter(level, path)
        found: dict[str, JsonValue] = {}
        for key, each in value.items():
            name = _key(key, path)
            found[name] = self._value(each, f"{path}.{name}" if path else name, level)
        return found

    def _value(self, value: object, path: str, level: int) -> JsonValue:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise too_large()
        kind = type(value)
        if kind is str or kind is int or kind is float:  # nearly always, and much quicker
            return _PLAIN[kind](value, path)
        if isinstance(value, np.ma.MaskedArray):
            raise refused(path, "a masked array is not a JSON value")
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value[()]
        if isinstance(value, Mapping):
            return self.read(value, path, level + 1)
        if isinstance(value, list | tuple | np.ndarray):
            self._enter(level + 1, path)
            return [self._value(each, path, level + 1) for each in value]
        return scalar(value, path)

    def _enter(self, level: int, path: str) -> None:
        if level > _MAX_LEVELS:
            why = f"metadata {quoted(path)}: nests deeper than {_MAX_LEVELS} levels"
            raise LimitExceeded("metadata", why)


def too_large() -> LimitExceeded:
    """Return the refusal of an object that holds too much."""
    return LimitExceeded("metadata", f"metadata is larger than {MAX_BYTES:,} bytes as compact JSON")


def _key(key: object, path: str) -> str:
    if isinstance(key, Enum):
        key = key.value
    field = f"metadata.{path}" if path else "metadata"
    if not isinstance(key, str):
        raise InvalidField(
            field, f"metadata keys must be strings, got {type(key).__name__} {quoted(key)}"
        )
    if not _is_text(key):
        raise InvalidField(field, f"metadata key {quoted(key)}: is no text that UTF-8 has")
    return str(key)


def _integer(value: int, key: str) -> int:
    if abs(value) <= EXACT_INTEGER:
        return value
    if value.bit_length() <= _SHOWN_BITS:
        raise inexact(str(value), key)
    digits = int(value.bit_length() * math.log10(2)) + 1
    raise inexact(f"a whole number of about {digits:,} digits", key)


def _float(value: float | np.floating, key: str) -> float:
    found = float(value)
    if math.isnan(found):
        raise refused(key, "NaN is not a JSON value: leave it out or store null")
    if found != value:  # of more bits than float64 has
        raise inexact(str(value), key)
    if math.isinf(found):
        raise refused(key, "infinity is not a JSON value: leave it out or store null")
    return found


def _decimal(value: Decimal, key: str) -> int | float:
    if not value.is_finite():
        raise refused(key, f"{value} is not a JSON value: leave it out or store null")
    shown = f"{value:.{_SHOWN}}" if len(value.as_tuple().digits) > _SHOWN else str(value)
    if value.adjusted() > _LARGEST_EXPONENT:
        raise inexact(shown, key)
    if value == value.to_integral_value():
        if abs(value) > EXACT_INTEGER:
            raise inexact(shown, key)
        return int(value)
    found = float(value)
    if Decimal(repr(found)) != value:
        raise inexact(shown, key)
    return found


def _text(value: str, key: str) -> str:
    if not _is_text(value):
        raise refused(key, "is no text that UTF-8 has: it holds half of a surrogate pair")
    return value


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _time(value: datetime, key: str) -> str:
    if value != value:  # what pandas has for a time that is missing
        raise refused(key, "NaT is not a time: leave it out or store null")
    offset = value.utcoffset()
    if offset is None:
        return value.replace(tzinfo=UTC).isoformat()
    # RFC 3339 has offsets of whole minutes.
    whole = offset % timedelta(minutes=1) == timedelta()
    return (value if whole else value.astimezone(UTC)).isoformat()


def _numpy_time(value: np.datetime64, key: str) -> str:
    if np.isnat(value):
        raise refused(key, "NaT is not a time: leave it out or store null")
    unit = np.datetime_data(value)[0]
    if unit in _DAYS:
        return str(value.astype("datetime64[D]"))
    return str(value.astype("datetime64[s]") if unit in ("h", "m") else value) + "+00:00"


_PLAIN: Mapping[type, Callable[[Any, str], JsonValue]] = {str: _text, int: _integer, float: _float}
