"""Which items meet a filter: bitmaps of ordinals, in step with the store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from pyroaring import BitMap

from lookalike.wire.errors import LimitExceeded
from search_service.domain.conditions import FieldPath, Filter, Scalar
from search_service.filters.column import Column
from search_service.filters.elements import Elements, Objects
from search_service.filters.evaluate import evaluate, prepare
from search_service.filters.flatten import flatten
from search_service.filters.limits import check_limits
from search_service.filters.remarks import remarks_on
from search_service.filters.spaces import ItemSpace
from search_service.filters.spread import Gathered, Spread, few_values, gather, spread_of

if TYPE_CHECKING:
    from search_service.domain.metadata import Metadata

# Bitmaps hold uint32. An ordinal is one version of one vector: at 100 upserts a
# second, day and night, this lasts for 496 days; then the collection must be
# copied into a new one, which starts again at 0.
MAX_ORDINAL = 2**32 - 1
# A path that every item invents anew costs about 1 KB of bitmaps an item.
MAX_PATHS = 4_096
_SETTLE_EVERY = 256  # mutations between two looks at all columns


class Frozen(NamedTuple):
    """All ordinals, the columns by path, and the elements: later changes leave them alone."""

    everything: BitMap
    columns: list[tuple[FieldPath, Column]]
    elements: Elements


class MetadataIndex:
    """Metadata of a collection by field path.

    Threads: one writer calls `add` and `remove`; any number of
    threads call the rest meanwhile. A lock is held for one item at a time by
    the writer and for one evaluation (milliseconds at a million items) by a
    reader, so a reader sees an item with all its fields or not at all.
    """

    def __init__(
        self,
        everything: BitMap | None = None,
        columns: dict[FieldPath, Column] | None = None,
        elements: Elements | None = None,
    ) -> None:
        """Start empty, or from what a snapshot held."""
        self._lock = threading.Lock()
        self._columns: dict[FieldPath, Column] = columns or {}
        self._everything = everything or BitMap()
        self._elements = elements or Elements()
        self._mutations = 0

    @property
    def all(self) -> BitMap:
        """The ordinals that are there, as a new bitmap."""
        with self._lock:
            return self._everything.copy()

    def __len__(self) -> int:
        """Count items."""
        return len(self._everything)

    def evaluate(self, filter: Filter) -> BitMap:
        """Find the ordinals that meet `filter`, as a new bitmap.

        Raises:
            FilterInvalid: the filter passes a limit.
        """
        self.prepare(filter)
        with self._lock:
            return evaluate(filter, self._space())

    def prepare(self, filter: Filter) -> None:
        """Do what takes long of `evaluate`, for which no lock is needed.

        Raises:
            FilterInvalid: the filter passes a limit.
        """
        check_limits(filter)
        prepare(filter, self._space())

    def present(self, field: FieldPath) -> BitMap:
        """Find the ordinals of items where `field` is there, as a new bitmap."""
        with self._lock:
            column = self._columns.get(field)
            return BitMap() if column is None else column.present.copy()

    def spread(self, field: FieldPath, among: BitMap) -> Spread:
        """Say which values of `field` the items `among` hold."""
        with self._lock:
            column = self._columns.get(field)
            gathered = Gathered(among, (), ()) if column is None else gather(column, among)
        return spread_of(gathered)

    def values(self, field: FieldPath, most: int) -> list[Scalar] | None:
        """List the values of `field`, in any order; None where there are more than `most`."""
        with self._lock:
            column = self._columns.get(field)
            return [] if column is None else few_values(column, most)

    def remarks(self, filter: Filter) -> list[str]:
        """Say what a person should know of `filter`: see `remarks_on`."""
        with self._lock:
            return remarks_on(filter, self._columns)

    def admit(self, metadata: Metadata) -> None:
        """Check that `metadata` can be indexed; call it before the store commits.

        Raises:
            LimitExceeded: it would bring the field paths of the collection past
                `MAX_PATHS`.
        """
        new = sum(path not in self._columns for path in flatten(metadata))
        if new and len(self._columns) + new > MAX_PATHS:
            raise LimitExceeded(
                "metadata",
                f"a collection has at most {MAX_PATHS:,} different metadata fields: "
                "use values, not field names, for what differs from item to item",
            )

    def add(self, ordinal: int, metadata: Metadata) -> None:
        """Index an item under an ordinal that is not there.

        Raises:
            LimitExceeded: the ordinal is past `MAX_ORDINAL`.
        """
        if not 0 <= ordinal <= MAX_ORDINAL:
            raise LimitExceeded(
                "items",
                "the collection has used up its 4,294,967,295 vector versions: "
                "copy it into a new one",
            )
        fields, objects = flatten(metadata), Objects(metadata)
        with self._lock:
            self._everything.add(ordinal)
            self._elements.add(ordinal, objects)
            for path, values in fields.items():
                column = self._columns.get(path)
                if column is None:
                    column = self._columns[path] = Column()
                column.add(ordinal, values)
        self._mutated()

    def remove(self, ordinal: int, metadata: Metadata) -> None:
        """Forget an item; `metadata` is what it was added with."""
        fields, objects = flatten(metadata), Objects(metadata)
        with self._lock:
            self._everything.discard(ordinal)
            self._elements.remove(ordinal, objects)
            for path, values in fields.items():
                column = self._columns.get(path)
                if column is None:
                    continue
                column.remove(ordinal, values)
                if not column.present:
                    del self._columns[path]
        self._mutated()

    def remove_all(self, ordinals: BitMap) -> None:
        """Forget items whose metadata is no longer known: goes through all columns."""
        with self._lock:
            self._everything -= ordinals
            self._elements.remove_all(ordinals)
            for column in self._columns.values():
                column.remove_all(ordinals)
            self._columns = {path: c for path, c in self._columns.items() if c.present}
        self._settle()

    def frozen_copy(self) -> Frozen:
        """Everything as of one moment, for a snapshot (bench row query.5d)."""
        with self._lock:
            columns = [(path, column.copy()) for path, column in self._columns.items()]
            return Frozen(self._everything.copy(), columns, self._elements.copy())

    def _space(self) -> ItemSpace:
        return ItemSpace(self._everything, self._columns, self._elements)

    def _mutated(self) -> None:
        self._mutations += 1
        if self._mutations % _SETTLE_EVERY == 0:
            self._settle()

    def _settle(self) -> None:
        """Bring columns into a better form; only the swap keeps readers out."""
        for column in (*self._columns.values(), *self._elements.columns.values()):
            for values in column.kinds:
                form = values.better_form()
                if form is not None:
                    with self._lock:
                        values.form = form
