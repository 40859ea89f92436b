"""A filter over columns of bitmaps."""

from __future__ import annotations

from collections.abc import Mapping

from pyroaring import BitMap

from search_service.domain.conditions import (
    AllOf,
    AnyOf,
    Equals,
    Exists,
    FieldPath,
    Filter,
    In,
    NoneOf,
    Prefix,
)
from search_service.filters.column import Column
from search_service.filters.estimate import estimate_share


def evaluate(filter: Filter, columns: Mapping[FieldPath, Column], everything: BitMap) -> BitMap:
    """Find the ordinals that meet `filter`, as a new bitmap.

    Recurses as deep as the filter: `check_limits` comes first.
    """
    if isinstance(filter, AllOf):
        return _all_of(filter, columns, everything)
    if isinstance(filter, AnyOf):
        found = (evaluate(child, columns, everything) for child in filter.filters)
        return BitMap.union(BitMap(), *found)
    if isinstance(filter, NoneOf):
        return everything - evaluate(filter.filter, columns, everything)
    column = columns.get(filter.field)
    if column is None:
        return BitMap()
    if isinstance(filter, Exists):
        return column.present.copy()
    if isinstance(filter, Equals):
        return column.equal((filter.value,))
    if isinstance(filter, In):
        return column.equal(filter.values)
    if isinstance(filter, Prefix):
        return column.with_prefix(filter)
    return column.in_range(filter)


def _all_of(filter: AllOf, columns: Mapping[FieldPath, Column], everything: BitMap) -> BitMap:
    """The rarest condition first, so that the others work on little, or not at all."""
    kept = [child for child in filter.filters if not isinstance(child, NoneOf)]
    if len(kept) > 1:
        # To count what an `In` holds costs as much as to find it.
        kept.sort(
            key=lambda child: (
                0.0 if isinstance(child, In) else estimate_share(child, columns, len(everything))
            )
        )
    found = evaluate(kept[0], columns, everything) if kept else everything.copy()
    for each in kept[1:]:
        if not found:
            return found
        found &= evaluate(each, columns, everything)
    for child in filter.filters:
        if not found:
            return found
        if isinstance(child, NoneOf):
            found -= evaluate(child.filter, columns, everything)
    return found
