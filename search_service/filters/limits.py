"""Bounds on a filter, checked before it is evaluated (filter.proto)."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.wire.errors import FilterInvalid
from search_service.domain.conditions import (
    AllOf,
    AnyElement,
    AnyOf,
    Equals,
    Filter,
    In,
    NoneOf,
    Prefix,
    Range,
    Text,
)

MAX_DEPTH = 16
MAX_NODES = 256
MAX_VALUES = 10_000
MAX_EXPRESSION_CHARACTERS = 4_096
# A pattern that RE2 takes can hold a repetition of a thousand; longer ones than this
# are lists of words, for which `in` and `or` are there.
MAX_PATTERN_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class FilterSize:
    """How deep a filter is and how much it holds; a lone condition has depth 1."""

    depth: int
    nodes: int
    values: int

    def excess(self) -> str | None:
        """Say which limit is passed; None where none is."""
        if self.depth > MAX_DEPTH:
            return f"the filter is more than {MAX_DEPTH} levels deep"
        if self.nodes > MAX_NODES:
            return f"the filter has more than {MAX_NODES} conditions"
        if self.values > MAX_VALUES:
            return f"the filter has more than {MAX_VALUES:,} values"
        return None


def measure(filter: Filter) -> FilterSize:
    """Measure a filter; stops at the first limit that is passed. Does not recurse."""
    depth = nodes = values = 0
    waiting: list[tuple[Filter, int]] = [(filter, 1)]
    while waiting:
        node, level = waiting.pop()
        nodes += 1
        depth = max(depth, level)
        values += count_values(node)
        if FilterSize(depth, nodes, values).excess():
            break
        if isinstance(node, AllOf | AnyOf):
            waiting.extend((child, level + 1) for child in node.filters)
        elif isinstance(node, NoneOf | AnyElement):
            waiting.append((node.filter, level + 1))
    return FilterSize(depth, nodes, values)


def check_limits(filter: Filter, field: str = "filter") -> None:
    """Refuse a filter that is too deep or too big.

    Raises:
        FilterInvalid: naming the limit.
    """
    excess = measure(filter).excess()
    if excess is not None:
        raise FilterInvalid(field, excess)


def count_values(node: Filter) -> int:
    """Count the values that one node compares with."""
    if isinstance(node, In):
        return len(node.values)
    if isinstance(node, Range):
        bounds = (node.greater_than, node.at_least, node.less_than, node.at_most)
        return sum(bound is not None for bound in bounds)
    return 1 if isinstance(node, Equals | Prefix | Text) else 0
