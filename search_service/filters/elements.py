"""Objects inside lists, each with what it holds by itself.

`any(attributes, key = "Color" and value = "Red")` asks for one object that meets
both; under the paths of an item, the keys and values of all its objects are mixed.
So each object inside a list, at whatever depth, is an element: it has a number, an
owner (the item's ordinal) and a parent (the element that encloses it, if one does),
and columns of its own, which stand under full paths and speak in elements' numbers.
Objects in no list are one at most under their path, so the item's own columns say
all of them; here stands only which items have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pyroaring import BitMap

from search_service.domain.arrays import U32
from search_service.domain.conditions import FieldPath
from search_service.filters.bitmaps import bitmap_of, ordinals_of
from search_service.filters.column import Column
from search_service.filters.flatten import FieldValues, add_scalar

if TYPE_CHECKING:
    from search_service.domain.metadata import JsonValue, Metadata

# Owner of a number that is free, and parent of an element in no other.
NOBODY = 2**32 - 1
_SCALARS = frozenset({str, bool, int, float, type(None)})  # told quickly
_SCALAR_TYPES = (str, int, float)


@dataclass(frozen=True, slots=True)
class Element:
    """An object in a list: its path, its parent's place among the item's, its fields."""

    path: FieldPath
    parent: int | None
    fields: dict[FieldPath, FieldValues] = field(default_factory=dict)


class Objects:
    """The objects of one item's metadata: paths of those in no list, and elements."""

    def __init__(self, metadata: Metadata) -> None:
        self.plain: list[FieldPath] = []
        self.elements: list[Element] = []
        for key, value in metadata.items():
            if type(value) not in _SCALARS:
                self._visit(value, (key,), None, in_list=False)

    def _visit(
        self, value: JsonValue, path: FieldPath, parent: int | None, *, in_list: bool
    ) -> None:
        if isinstance(value, Mapping):
            if in_list or parent is not None:
                self._add(value, path, parent)
                return
            self.plain.append(path)
            for key, held in value.items():
                if type(held) not in _SCALARS:
                    self._visit(held, (*path, key), None, in_list=False)
        elif value is not None and not isinstance(value, _SCALAR_TYPES):
            for held in value:
                if type(held) not in _SCALARS:
                    self._visit(held, path, parent, in_list=True)

    def _add(self, members: Metadata, path: FieldPath, parent: int | None) -> None:
        element = Element(path, parent)
        own = len(self.elements)
        self.elements.append(element)
        for key, value in members.items():
            if value is not None:
                under = (*path, key)
                _gather(value, element.fields.setdefault(under, []))
                if type(value) not in _SCALARS:
                    self._visit(value, under, own, in_list=False)


class Elements:
    """The elements of a collection's items, numbered; numbers are used again.

    `owners` and `parents` are uint32 [capacity], by number. Not safe across threads:
    `MetadataIndex` holds the lock.
    """

    def __init__(self, owners: U32 | None = None, parents: U32 | None = None) -> None:
        """Start empty, or with elements whose columns are filled in by the caller."""
        self.owners: U32 = np.empty(0, np.uint32) if owners is None else owners
        self.parents: U32 = np.empty(0, np.uint32) if parents is None else parents
        self.used = len(self.owners)
        self.columns: dict[FieldPath, Column] = {}
        self.standing: dict[FieldPath, BitMap] = {}
        self.plain: dict[FieldPath, BitMap] = {}
        self._first: dict[int, int] = {}
        self._free: dict[int, list[int]] = {}
        self._find_blocks()

    def copy(self) -> Elements:
        """A copy that later changes leave alone."""
        copied = Elements(self.owners[: self.used].copy(), self.parents[: self.used].copy())
        copied.columns = {path: column.copy() for path, column in self.columns.items()}
        copied.standing = {path: held.copy() for path, held in self.standing.items()}
        copied.plain = {path: held.copy() for path, held in self.plain.items()}
        return copied

    def add(self, ordinal: int, objects: Objects) -> None:
        """Number the elements of an item that has none yet."""
        for path in objects.plain:
            self.plain.setdefault(path, BitMap()).add(ordinal)
        if not objects.elements:
            return
        first = self._take(len(objects.elements))
        self._first[ordinal] = first
        for number, element in enumerate(objects.elements, first):
            self.owners[number] = ordinal
            self.parents[number] = NOBODY if element.parent is None else first + element.parent
            self.standing.setdefault(element.path, BitMap()).add(number)
            for path, values in element.fields.items():
                column = self.columns.get(path)
                if column is None:
                    column = self.columns[path] = Column()
                column.add(number, values)

    def remove(self, ordinal: int, objects: Objects) -> None:
        """Take `add` back, with the same arguments."""
        for path in objects.plain:
            _discard(self.plain, path, ordinal)
        first = self._first.pop(ordinal, None)
        if first is None:
            return
        for number, element in enumerate(objects.elements, first):
            _discard(self.standing, element.path, number)
            for path, values in element.fields.items():
                column = self.columns.get(path)
                if column is not None:
                    column.remove(number, values)
                    if not column.present:
                        del self.columns[path]
        self._give_back(first, len(objects.elements))

    def remove_all(self, ordinals: BitMap) -> None:
        """Forget items whose metadata is no longer known: goes through all columns."""
        numbers = bitmap_of(
            np.flatnonzero(np.isin(self.owners[: self.used], ordinals_of(ordinals)))
        )
        for column in self.columns.values():
            column.remove_all(numbers)
        self.columns = {path: c for path, c in self.columns.items() if c.present}
        for held, gone in ((self.standing, numbers), (self.plain, ordinals)):
            for path in list(held):
                held[path] -= gone
                if not held[path]:
                    del held[path]
        for ordinal in ordinals:
            first = self._first.pop(ordinal, None)
            if first is not None:
                same = self.owners[first : self.used] == ordinal
                self._give_back(first, len(same) if same.all() else int(np.argmin(same)))

    def enclosing(self, numbers: BitMap, steps: int) -> BitMap:
        """The elements `steps` levels above, without those that no element encloses."""
        if not steps:
            return numbers
        found = ordinals_of(numbers)
        for _ in range(steps):
            found = self.parents[found]
            found = found[found != NOBODY]
        return bitmap_of(found)

    def owners_of(self, numbers: BitMap) -> BitMap:
        """The ordinals of the items that elements belong to."""
        return bitmap_of(self.owners[ordinals_of(numbers)])

    def _take(self, count: int) -> int:
        free = self._free.get(count)
        if free:
            return free.pop()
        first = self.used
        if first + count > len(self.owners):
            more = np.full(max(count, len(self.owners), 1_024), NOBODY, np.uint32)
            self.owners = np.concatenate((self.owners, more))
            self.parents = np.concatenate((self.parents, more))
        self.used += count
        return first

    def _give_back(self, first: int, count: int) -> None:
        self.owners[first : first + count] = NOBODY
        self._free.setdefault(count, []).append(first)

    def _find_blocks(self) -> None:
        """Elements of an item have consecutive numbers."""
        owners = self.owners[: self.used]
        starts = np.flatnonzero(np.diff(owners, prepend=owners[:1] ^ 1)) if len(owners) else owners
        ends = [*starts[1:].tolist(), len(owners)]
        for start, end in zip(starts.tolist(), ends, strict=False):
            if owners[start] == NOBODY:
                self._free.setdefault(end - start, []).append(start)
            else:
                self._first[int(owners[start])] = start


def _gather(value: JsonValue, values: FieldValues) -> None:
    """Add what a field holds by itself: scalars, also those in lists."""
    if isinstance(value, str | int | float):
        add_scalar(value, values)
    elif value is not None and not isinstance(value, Mapping):
        for held in value:
            _gather(held, values)


def _discard(held: dict[FieldPath, BitMap], path: FieldPath, number: int) -> None:
    numbers = held.get(path)
    if numbers is not None:
        numbers.discard(number)
        if not numbers:
            del held[path]
