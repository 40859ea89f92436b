"""What a filter is evaluated over: items, objects in no list, or elements of lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pyroaring import BitMap

from search_service.domain.conditions import FieldPath
from search_service.filters.column import Column
from search_service.filters.elements import Elements


class Space(Protocol):
    """Numbers that conditions choose from, and the columns that speak of them."""

    everything: BitMap

    def column(self, field: FieldPath) -> Column | None:
        """The column of a path that begins here; its numbers may be others: `lifted`."""

    def lifted(self, found: BitMap, field: FieldPath) -> BitMap:
        """Numbers of this space, from those that the column of `field` speaks in."""

    def inner(self, field: FieldPath) -> tuple[Space, ...]:
        """The spaces of the objects under `field`, for `any(field, ...)`."""

    def holding(self, found: BitMap, inner: Space, field: FieldPath) -> BitMap:
        """Numbers of this space that hold one of `found`, of one of the inner spaces."""


class ItemSpace:
    """Items, or with a prefix those that have an object there that stands in no list."""

    def __init__(
        self,
        everything: BitMap,
        columns: Mapping[FieldPath, Column],
        elements: Elements,
        prefix: FieldPath = (),
    ) -> None:
        self.everything = everything
        self._columns = columns
        self._elements = elements
        self._prefix = prefix

    def column(self, field: FieldPath) -> Column | None:
        """As of the protocol."""
        return self._columns.get(self._prefix + field)

    def lifted(self, found: BitMap, field: FieldPath) -> BitMap:
        """As of the protocol."""
        return found & self.everything if self._prefix else found

    def inner(self, field: FieldPath) -> tuple[Space, ...]:
        """Objects in no list, and elements."""
        path = self._prefix + field
        plain = self._elements.plain.get(path) or BitMap()
        return (
            ItemSpace(plain, self._columns, self._elements, path),
            ElementSpace(self._elements, path),
        )

    def holding(self, found: BitMap, inner: Space, field: FieldPath) -> BitMap:
        """As of the protocol."""
        if isinstance(inner, ElementSpace):
            found = self._elements.owners_of(found)
        return found & self.everything if self._prefix else found


class ElementSpace:
    """The elements under one path."""

    def __init__(self, elements: Elements, path: FieldPath) -> None:
        self.everything = elements.standing.get(path) or BitMap()
        self._elements = elements
        self._path = path

    def column(self, field: FieldPath) -> Column | None:
        """As of the protocol: it speaks of the object that holds the last key."""
        return self._elements.columns.get(self._path + field)

    def lifted(self, found: BitMap, field: FieldPath) -> BitMap:
        """As of the protocol."""
        return self._elements.enclosing(found, len(field) - 1)

    def inner(self, field: FieldPath) -> tuple[Space, ...]:
        """All objects in an element are elements."""
        return (ElementSpace(self._elements, self._path + field),)

    def holding(self, found: BitMap, inner: Space, field: FieldPath) -> BitMap:
        """As of the protocol."""
        return self._elements.enclosing(found, len(field))
