"""Cells as ids, vectors and JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from lookalike.wire.errors import InvalidField
from lookalike.wire.vectors import F32
from lookalike_client.metadata_values import EXACT_INTEGER, scalar
from lookalike_client.types import ImageFacts, JsonValue, Metadata

_UUID_BYTES = 16
_LIST = re.compile(r"(?:array\()?[\[({](.*)[\])}](?:, dtype=\w+\)|\))?", re.DOTALL)
_NUMPY = re.compile(r"np\.float\d+\(([^()]*)\)")


def item_id(cell: object) -> str:
    """Return a cell as an id: text as it is, whole numbers in digits, UUIDs as usual.

    Raises:
        InvalidField: it is empty or something else.
    """
    match cell:
        case None | "":
            raise InvalidField("id", "the row has no id")
        case str():
            return cell
        case bool():
            pass
        case int():
            return str(cell)
        case float() if abs(cell) > EXACT_INTEGER:  # infinity as well
            raise InvalidField("id", f"{cell!r} is a rounded number: store ids as text")
        case float() | Decimal() if cell == cell and cell % 1 == 0:  # not NaN
            return str(int(cell))
        case float() if math.isnan(cell):
            raise InvalidField("id", "the row has no id")
        case UUID():
            return str(cell)
        case bytes() if len(cell) == _UUID_BYTES:
            return str(UUID(bytes=cell))
    raise InvalidField("id", f"{cell!r:.40} is no id: text or a whole number is")


def vectors(cell: object, dimension: int) -> tuple[F32, ...]:
    """Return a cell as vectors, float32 [`dimension`] each; none where it is empty.

    Raises:
        InvalidField: it holds something else.
    """
    if cell is None:
        return ()
    found = [vector(each) for each in cell] if isinstance(cell, Iterable) else [None]
    whole = tuple(each for each in found if each is not None and len(each) == dimension)
    if len(whole) < len(found):
        raise InvalidField("further_vectors", f"must be vectors of {dimension:,} numbers")
    return whole


def vector(cell: object) -> F32 | None:
    """Return a cell as float32 [D], or None where it holds no row of numbers.

    Lists and arrays of any number type, text of such a list (`[0.1, 0.2]`, with commas
    or spaces), and bytes of little-endian float32 are taken; nulls within become NaN.
    """
    if isinstance(cell, str):
        cell = _parsed(cell)
    if isinstance(cell, bytes | bytearray | memoryview):
        raw = bytes(cell)
        return np.frombuffer(raw, "<f4").astype(np.float32) if raw and len(raw) % 4 == 0 else None
    if not isinstance(cell, list | tuple | np.ndarray) or not len(cell):
        return None
    if any(isinstance(each, str | bytes | bool) for each in cell[:1]):
        return None
    try:
        with np.errstate(over="ignore"):  # infinity, which the service refuses by item
            found = np.asarray(cell, dtype=np.float64 if isinstance(cell, list | tuple) else None)
            if found.ndim == 2 and len(found) == 1:  # what encoders give for one image
                found = found[0]
            if found.dtype.kind not in "fiu" or found.ndim != 1:
                return None
            return found.astype(np.float32)
    except (TypeError, ValueError, OverflowError):
        return None


def _parsed(text: str) -> list[object] | None:
    """Return the numbers of a list as JSON, NumPy or PostgreSQL print it."""
    match = _LIST.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return [float(each) for each in _NUMPY.sub(r"\1", match[1]).replace(",", " ").split()]
    except ValueError:
        return None


def is_object(cell: object) -> bool:
    """Whether a cell is a JSON object, or the text of one."""
    return isinstance(cell, Mapping) or (
        isinstance(cell, str) and cell.lstrip()[:1] == "{" and cell.rstrip()[-1:] == "}"
    )


def json_object(cell: object, column: str) -> Metadata:
    """Return a cell as a JSON object; an empty one is `{}`.

    Nulls of a struct, which has the same keys in each row, are left out; those that
    stand in the text of an object stay.

    Raises:
        InvalidField: it is something else.
    """
    if cell is None or cell == "":
        return {}
    if isinstance(cell, float) and math.isnan(cell):
        return {}
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise InvalidField(column, "is no JSON") from error
        if isinstance(cell, dict):
            return {key: json_value(each, f"{column}.{key}") for key, each in cell.items()}
    if isinstance(cell, list) and all(isinstance(each, tuple) and len(each) == 2 for each in cell):
        cell = dict(cell)  # Arrow's maps
    if not isinstance(cell, Mapping):
        raise InvalidField(column, "is no JSON object")
    found = {str(key): json_value(each, f"{column}.{key}") for key, each in cell.items()}
    return {key: each for key, each in found.items() if each is not None}


def json_value(cell: object, column: str) -> JsonValue:
    """Return a cell as JSON: what the SDK takes, and lengths of time in seconds.

    What stands for a missing value, NaN and NaT, is null.

    Raises:
        InvalidField: JSON has no such value, or it would be changed.
    """
    match cell:
        case np.ndarray():
            if cell.ndim:
                return [json_value(each, column) for each in cell]
            return json_value(cell[()], column)
        case np.datetime64() | np.timedelta64() if np.isnat(cell):
            return None
        case Decimal() if cell.is_nan():
            return None
        case float() | np.floating() | datetime() if cell != cell:
            return None
        case np.timedelta64():
            return float(cell / np.timedelta64(1, "s"))
        case timedelta():
            return cell.total_seconds()
        case Mapping():
            return {str(key): json_value(each, f"{column}.{key}") for key, each in cell.items()}
        case list() | tuple() | set():
            return [json_value(each, column) for each in cell]
    return scalar(cell, column)


def image_facts(cell: object) -> ImageFacts | None:
    """Return a cell as what `lookalike export` wrote of an image.

    Raises:
        InvalidField: a part is missing.
    """
    if not isinstance(cell, Mapping) or all(each is None for each in cell.values()):
        return None
    found: dict[str, Any] = {}
    for each in fields(ImageFacts):
        value = cell.get(each.name)
        if value is None or value != value:  # NaN, in which pandas keeps nulls
            continue
        whole = str(each.type) == "int" and isinstance(value, float)
        found[each.name] = int(value) if whole else value
    try:
        return ImageFacts(**found)
    except TypeError as error:
        raise InvalidField("facts", "of the image are not whole") from error
