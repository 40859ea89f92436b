"""How many items a filter keeps, without looking at which."""

from __future__ import annotations

from typing import TypeAlias

from search_service.domain.conditions import (
    AllOf,
    AnyElement,
    AnyOf,
    Equals,
    Exists,
    Filter,
    In,
    NoneOf,
    Prefix,
    Range,
    Text,
)
from search_service.filters.column import Column
from search_service.filters.spaces import Space

# A condition on one field.
Leaf: TypeAlias = Equals | In | Range | Exists | Prefix | Text


def estimate_share(filter: Filter, space: Space) -> float:
    """Estimate the share of a space that meets `filter`, 0 to 1.

    Exact for one condition on a field without lists, but for text conditions, of which
    many different texts are sampled; conditions that are joined count as independent of
    each other, which correlated ones are not, and elements of lists as if each were in
    another item.
    """
    if isinstance(filter, AllOf):
        share = 1.0
        for child in filter.filters:
            share *= estimate_share(child, space)
        return share
    if isinstance(filter, AnyOf):
        missed = 1.0
        for child in filter.filters:
            missed *= 1.0 - estimate_share(child, space)
        return 1.0 - missed
    if isinstance(filter, NoneOf):
        return 1.0 - estimate_share(filter.filter, space)
    everything = len(space.everything)
    if not everything:
        return 0.0
    if isinstance(filter, AnyElement):
        holders = sum(
            len(inner.everything) * estimate_share(filter.filter, inner)
            for inner in space.inner(filter.field)
        )
        return min(1.0, holders / everything)
    column = space.column(filter.field)
    return 0.0 if column is None else min(1.0, _count(filter, column) / everything)


def _count(leaf: Leaf, column: Column) -> int:
    if isinstance(leaf, Exists):
        return len(column.present)
    if isinstance(leaf, Equals):
        return column.count_equal((leaf.value,))
    if isinstance(leaf, In):
        return column.count_equal(leaf.values)
    if isinstance(leaf, Prefix):
        return column.count_with_prefix(leaf)
    if isinstance(leaf, Text):
        return column.count_fitting(leaf)
    return column.count_in_range(leaf)
