"""Conditions on the metadata of items."""

from __future__ import annotations

from typing import TypeAlias

from lookalike.v1 import filter_pb2

FilterLike: TypeAlias = filter_pb2.Filter | str | None


def condition(filter: FilterLike) -> filter_pb2.Filter | None:
    """Return a filter; a string is text that the service parses."""
    if isinstance(filter, str):
        return filter_pb2.Filter(expression=filter) if filter.strip() else None
    return filter
