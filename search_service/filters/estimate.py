"""How many items a filter keeps, without looking at which."""

from __future__ import annotations

from collections.abc import Mapping

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


def estimate_share(filter: Filter, columns: Mapping[FieldPath, Column], items: int) -> float:
    """Estimate the share of items that meet `filter`, 0 to 1.

    Exact for one condition on a field without lists; conditions that are joined
    count as independent of each other, which correlated ones are not.
    """
    if isinstance(filter, AllOf):
        share = 1.0
        for child in filter.filters:
            share *= estimate_share(child, columns, items)
        return share
    if isinstance(filter, AnyOf):
        missed = 1.0
        for child in filter.filters:
            missed *= 1.0 - estimate_share(child, columns, items)
        return 1.0 - missed
    if isinstance(filter, NoneOf):
        return 1.0 - estimate_share(filter.filter, columns, items)
    column = columns.get(filter.field)
    if column is None or items == 0:
        return 0.0
    return min(1.0, _count(filter, column) / items)


def _count(leaf: Filter, column: Column) -> int:
    if isinstance(leaf, Exists):
        return len(column.present)
    if isinstance(leaf, Equals):
        return column.count_equal((leaf.value,))
    if isinstance(leaf, In):
        return column.count_equal(leaf.values)
    if isinstance(leaf, Prefix):
        return column.count_with_prefix(leaf)
    assert not isinstance(leaf, AllOf | AnyOf | NoneOf), "a condition on one field"
    return column.count_in_range(leaf)
