"""What a person should know of a filter that meets less than was meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from search_service.domain.conditions import (
    AllOf,
    AnyElement,
    AnyOf,
    Equals,
    Exists,
    FieldPath,
    Filter,
    In,
    Instant,
    NoneOf,
    Prefix,
    Range,
    Text,
)
from search_service.filters.bounds import range_kind
from search_service.filters.column import Column
from search_service.filters.paths import format_path

Leaf: TypeAlias = Equals | In | Range | Exists | Prefix | Text
_PLURALS: Mapping[type, str] = {str: "strings", float: "numbers", bool: "true or false"}


def remarks_on(filter: Filter, columns: Mapping[FieldPath, Column]) -> list[str]:
    """Name fields that no item has, and those whose values are of another kind.

    A field that is compared with times is named where one item holds none; with
    another kind, where all do. Each remark stands once, in the filter's order.
    """
    found: dict[str, None] = {}
    for path, leaf in _leaves(filter):
        column = columns.get(path)
        name = format_path(path)
        if column is None:
            found[f"no item has the field {name}"] = None
            continue
        for kind in _kinds(leaf):
            remark = _remark(column, kind)
            if remark:
                found[f"{name}: {remark}"] = None
    return list(found)


def _remark(column: Column, kind: type) -> str:
    held, among = column.count_of_kind(kind), len(column.present)
    if kind is Instant and held < among:
        return (
            f"{held:,} of {among:,} values are times; a time is written as "
            "2024-05-01T10:00:00Z, without the offset in UTC, or as a date"
        )
    return "" if held or kind is Instant else f"0 of {among:,} values are {_PLURALS[kind]}"


def _leaves(filter: Filter, within: FieldPath = ()) -> Iterator[tuple[FieldPath, Leaf]]:
    """Yield conditions on a field, with its path in the item."""
    if isinstance(filter, AllOf | AnyOf):
        for child in filter.filters:
            yield from _leaves(child, within)
    elif isinstance(filter, NoneOf):
        yield from _leaves(filter.filter, within)
    elif isinstance(filter, AnyElement):
        yield from _leaves(filter.filter, within + filter.field)
    else:
        yield within + filter.field, filter


def _kinds(leaf: Leaf) -> Sequence[type]:
    match leaf:
        case Exists():
            return ()
        case Prefix() | Text():
            return (str,)
        case Range():
            return (_kind(range_kind(leaf)),)
        case Equals():
            return (_kind(type(leaf.value)),)
        case In():
            return list(dict.fromkeys(_kind(type(value)) for value in leaf.values))


def _kind(kind: type) -> type:
    return float if kind is int else kind
