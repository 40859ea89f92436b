"""What is asked of a metadata field, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_service.filters.ast import Path, Scalar
    from search_service.shard.types import StoredItem


@dataclass(frozen=True, slots=True)
class GroupBy:
    """Gather hits by a metadata field, at most `hits_per_group` of each value."""

    field: Path
    hits_per_group: int = 1


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by a metadata field; items without a value come last either way."""

    field: Path
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of an ordered list ended: after `id`, which has `value` (or none)."""

    value: Scalar | None
    id: str


@dataclass(frozen=True, slots=True)
class OrderedItem:
    """An item of an ordered list, with the place where it stands."""

    place: Place
    item: StoredItem


@dataclass(frozen=True, slots=True)
class Facets:
    """Values of a field with how many items hold each, the most frequent first.

    Of `items`, `missing` hold no value and `other` none of those listed; there
    are `values` different ones in all.
    """

    counts: Sequence[tuple[Scalar, int]]
    items: int
    missing: int
    other: int
    values: int
