"""A filter over columns of bitmaps."""

from __future__ import annotations

from pyroaring import BitMap

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
    Text,
)
from search_service.filters import text_search
from search_service.filters.column import Column
from search_service.filters.estimate import Leaf, estimate_share
from search_service.filters.spaces import Space
from search_service.filters.texts import TextTest


def evaluate(filter: Filter, space: Space) -> BitMap:
    """Find the numbers of `space` that meet `filter`, as a new bitmap.

    Recurses as deep as the filter: `check_limits` comes first.
    """
    if isinstance(filter, AllOf):
        return _all_of(filter, space)
    if isinstance(filter, AnyOf):
        found = (evaluate(child, space) for child in filter.filters)
        return BitMap.union(BitMap(), *found)
    if isinstance(filter, NoneOf):
        return space.everything - evaluate(filter.filter, space)
    if isinstance(filter, AnyElement):
        held = (
            space.holding(evaluate(filter.filter, inner), inner, filter.field)
            for inner in space.inner(filter.field)
            if inner.everything
        )
        return BitMap.union(BitMap(), *held)
    column = space.column(filter.field)
    if column is None:
        return BitMap()
    return space.lifted(_fitting(filter, column), filter.field)


def prepare(filter: Filter, space: Space) -> None:
    """Examine the texts that `filter` asks for, which takes long, without a lock.

    Raises:
        FilterInvalid: they are too many.
    """
    budget = text_search.Budget()
    waiting: list[tuple[Filter, Space]] = [(filter, space)]
    while waiting:
        node, where = waiting.pop()
        if isinstance(node, AllOf | AnyOf):
            waiting += [(child, where) for child in node.filters]
        elif isinstance(node, NoneOf):
            waiting.append((node.filter, where))
        elif isinstance(node, AnyElement):
            waiting += [(node.filter, inner) for inner in where.inner(node.field)]
        elif isinstance(node, Text):
            column = where.column(node.field)
            if column is not None:
                text_search.prepare(column.texts, TextTest.of(node), node.field, budget)


def _fitting(leaf: Leaf, column: Column) -> BitMap:
    if isinstance(leaf, Exists):
        return column.present.copy()
    if isinstance(leaf, Equals):
        return column.equal((leaf.value,))
    if isinstance(leaf, In):
        return column.equal(leaf.values)
    if isinstance(leaf, Prefix):
        return column.with_prefix(leaf)
    if isinstance(leaf, Text):
        return column.fitting(leaf)
    return column.in_range(leaf)


def _all_of(filter: AllOf, space: Space) -> BitMap:
    """The rarest condition first, so that the others work on little, or not at all."""
    kept = [child for child in filter.filters if not isinstance(child, NoneOf)]
    if len(kept) > 1:
        # To count what an `In` holds costs as much as to find it.
        kept.sort(key=lambda child: 0.0 if isinstance(child, In) else estimate_share(child, space))
    found = evaluate(kept[0], space) if kept else space.everything.copy()
    for each in kept[1:]:
        if not found:
            return found
        found &= evaluate(each, space)
    for child in filter.filters:
        if not found:
            return found
        if isinstance(child, NoneOf):
            found -= evaluate(child.filter, space)
    return found
