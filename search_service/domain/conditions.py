"""Conditions on metadata, as a tree of frozen values.

Field paths are tuples of keys: `("camera", "model")` for `camera.model`.
Strings, numbers, booleans and points in time are never equal to each other; a
metadata field that holds a list meets a condition when one of its elements does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

FieldPath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time: microseconds since 1970-01-01T00:00:00Z."""

    epoch_us: int


Scalar: TypeAlias = str | float | bool | Instant


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where every condition is; true where there are none."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where one condition is; false where there are none."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """True where the condition is not, also where the field is missing."""

    filter: Filter


@dataclass(frozen=True, slots=True)
class Equals:
    """field = value."""

    field: FieldPath
    value: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """field in values."""

    field: FieldPath
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A lower bound, an upper bound, or both; all bounds of one kind."""

    field: FieldPath
    greater_than: Scalar | None = None
    at_least: Scalar | None = None
    less_than: Scalar | None = None
    at_most: Scalar | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there and is not null."""

    field: FieldPath


@dataclass(frozen=True, slots=True)
class Prefix:
    """The field is a string that begins with `prefix`."""

    field: FieldPath
    prefix: str


class TextMatch(Enum):
    """How a string is compared with a text; numbers as in `lookalike.v1.TextMatch`."""

    EQUALS = 1
    STARTS_WITH = 2
    ENDS_WITH = 3
    CONTAINS = 4
    REGEX = 5


@dataclass(frozen=True, slots=True)
class Text:
    """The field is a string that `text` fits; with REGEX, in which RE2 finds `text`.

    With `ignore_case` both are compared as folded by `str.casefold`; a pattern says
    `(?i)` itself.
    """

    field: FieldPath
    match: TextMatch
    text: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class AnyElement:
    """One object under `field`, an element of a list or the object itself, meets `filter`.

    Paths in `filter` begin in that object.
    """

    field: FieldPath
    filter: Filter


Filter: TypeAlias = (
    AllOf | AnyOf | NoneOf | Equals | In | Range | Exists | Prefix | Text | AnyElement
)
