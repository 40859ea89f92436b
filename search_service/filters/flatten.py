"""Metadata as the values that stand under each path.

Null counts as missing. The elements of a list, nested lists included, all stand
under the path of the list; the keys of an object inside a list stand under that
path too, so `tags.name = "x"` meets `{"tags": [{"name": "x"}]}`. An object and
an empty list are there (`exists`) but hold no value of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from search_service.domain.conditions import FieldPath

if TYPE_CHECKING:
    from search_service.domain.metadata import JsonValue, Metadata

FieldValues: TypeAlias = "list[str | float | bool]"


def flatten(metadata: Metadata) -> dict[FieldPath, FieldValues]:
    """List the values under each path that is there.

    Numbers become float64, as JSON's are; NaN, which equals nothing, is left
    out. Metadata is at most 8 levels deep (search.proto), so recursion is too.
    """
    fields: dict[FieldPath, FieldValues] = {}
    _visit_object(metadata, (), fields)
    return fields


def _visit_object(
    members: Metadata, prefix: FieldPath, fields: dict[FieldPath, FieldValues]
) -> None:
    for key, value in members.items():
        if value is not None:
            _visit(value, (*prefix, key), fields)


def _visit(value: JsonValue, path: FieldPath, fields: dict[FieldPath, FieldValues]) -> None:
    values = fields.setdefault(path, [])
    if isinstance(value, str | int | float):  # bool is an int
        add_scalar(value, values)
    elif isinstance(value, Mapping):
        _visit_object(value, path, fields)
    elif value is not None:
        for element in value:
            if element is not None:
                _visit(element, path, fields)


def add_scalar(value: str | float | bool, values: FieldValues) -> None:
    """Add one value in the form in which it is compared."""
    if isinstance(value, str | bool):
        values.append(value)
    else:
        number = _as_float64(value)
        if not math.isnan(number):
            values.append(number)


def _as_float64(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int past float64
        return math.inf if value > 0 else -math.inf
