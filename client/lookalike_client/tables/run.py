"""Storing what a plan found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from lookalike.wire.errors import (
    DimensionMismatch,
    InvalidField,
    LookalikeError,
    NotFound,
    Precondition,
    Reason,
)
from lookalike.wire.vectors import F32
from lookalike_client import types
from lookalike_client.inputs import VectorItem, VectorLike
from lookalike_client.tables import columns, text_files, values
from lookalike_client.tables.binding import FURTHER_VECTORS
from lookalike_client.tables.plan import Plan
from lookalike_client.tables.rows import Row, Source
from lookalike_client.types import JsonValue, MutationResult, MutationStatus

if TYPE_CHECKING:
    from lookalike_client import Client

_UPSERT_ITEMS = 64
# Vectors of 4,096 dimensions and metadata of 64 KiB stay below 64 MiB.
_COMPARED_ITEMS = 200
_STORED = types.Fields(metadata=True, facts=True, thumbnail=True, vector=True)
# Bad rows that may wait, of half a KiB, while no good one is stored between them.
_MOST_FAILURES = 100_000
# float32 of a vector that is normalised once more, by components at most 1.
_SAME = 1e-6


class TableImport:
    """Stores the rows of a plan in a collection; can be run again after an interruption.

    The collection is made if it is not there. Items that are stored as the file has
    them are left alone and counted in `unchanged`; `repeated` counts rows whose id came
    before: the last one holds. `model` is the fingerprint, or in a new collection the
    name, of the model that made the vectors; without it, what the file says.
    """

    def __init__(
        self,
        client: Client,
        plan: Plan,
        collection: str,
        *,
        model: str = "",
        index: types.IndexSettings | None = None,
    ) -> None:
        """Check the binding of the collection, if it is there; write nothing.

        Raises:
            Precondition: MODEL_MISMATCH, DIMENSION_MISMATCH: the collection takes others.
        """
        self.unchanged = self.repeated = 0
        self._client, self._plan, self._name = client, plan, collection
        self._model, self._index = model, index
        self._text_columns = frozenset[str]().union(*(each.text_columns for each in plan.sources))
        self._seen: set[int] = set()
        self._untold = 0
        self._duplicates: types.DuplicateSettings | None = None
        self._found = self._existing()
        self._fingerprint = self._found.model_fingerprint if self._found else ""

    @property
    def creates(self) -> bool:
        """Whether the collection is not there yet."""
        return self._found is None

    def results(self) -> Iterator[MutationResult]:
        """Store; yield what became of each row but the unchanged ones."""
        for error in self._plan.refused:
            yield MutationResult("", MutationStatus.FAILED, 0, error)
        if self._found is None:
            self._create()
        failures: list[MutationResult] = []
        items = self._changed(failures)
        for result in self._client.upsert_vectors(self._name, items, batch_items=_UPSERT_ITEMS):
            yield from _drained(failures)
            yield result
        yield from _drained(failures)
        if self._untold:
            error = InvalidField("row", f"{self._untold:,} more rows failed, not listed one by one")
            yield MutationResult("", MutationStatus.FAILED, 0, error)
        if self._duplicates is not None:
            # Last, so that it says nothing about the items of one file.
            self._client.collections.update(self._name, duplicates=self._duplicates)

    def _existing(self) -> types.Collection | None:
        try:
            found = self._client.collections.get(self._name)
        except NotFound:
            return None
        told = self._model or self._plan.fingerprint
        wanted = found.model_fingerprint
        if told is None and wanted:
            raise Precondition(
                f'collection "{self._name}" takes vectors of model {wanted[:12]}, and the file '
                "does not say which model made its vectors: if it was this one, name it (--model)",
                reason=Reason.MODEL_MISMATCH,
                field="file",
            )
        same = told == wanted or (len(told or "") >= 12 and wanted.startswith(told or ""))
        if told is not None and not same:
            raise Precondition(
                f"the file holds vectors of model {told[:12] or '(external)'}; collection "
                f'"{self._name}" takes those of {wanted[:12] or "(external)"}',
                reason=Reason.MODEL_MISMATCH,
                field="file",
            )
        if found.dimension != self._plan.dimension:
            raise Precondition(
                f"the file holds vectors of {self._plan.dimension:,} dimensions; collection "
                f'"{self._name}" takes {found.dimension:,}',
                reason=Reason.DIMENSION_MISMATCH,
                field="file",
            )
        return found

    def _create(self) -> None:
        plan = self._plan
        made = self._client.collections.create(
            self._name,
            model=self._model or plan.fingerprint or None,
            dimension=plan.dimension,
            index=self._index or plan.index,
            thumbnail_side_px=plan.thumbnail_side_px,
        )
        self._fingerprint, self._duplicates = made.model_fingerprint, plan.duplicates

    def _changed(self, failures: list[MutationResult]) -> Iterator[VectorItem]:
        """Yield what is not stored as the file has it; put bad rows into `failures`."""
        items = self._items(failures)
        while group := list(islice(items, _COMPARED_ITEMS)):
            fresh = []
            for item in group:
                fresh.append(hash(item.id) not in self._seen)
                self.repeated += not fresh[-1]
                self._seen.add(hash(item.id))
            stored = {} if self._found is None else self._stored([each.id for each in group])
            for item, first in zip(group, fresh, strict=True):
                before = stored.get(item.id)
                kept = item if before is None else self._kept(item, before)
                if first and before is not None and _same(kept, before):
                    self.unchanged += 1
                else:
                    yield kept

    def _kept(self, item: VectorItem, stored: types.Item) -> VectorItem:
        """Return an item with what is stored, where the file says nothing of it."""
        metadata = stored.metadata if item.metadata is None else item.metadata
        alike = _near(item.vector, stored.vector)
        facts = stored.facts if alike and item.facts is None else item.facts
        further = item.further_vectors
        if alike and not self._plan.has_further:
            further = stored.further_vectors
        return replace(item, metadata=metadata, facts=facts, further_vectors=further)

    def _stored(self, ids: list[str]) -> dict[str, types.Item]:
        try:
            page = self._client.get(self._name, ids, fields=_STORED)
        except InvalidField:  # one of the ids cannot be one: the upsert says which
            return {}
        return {each.id: each for each in page.items}

    def _items(self, failures: list[MutationResult]) -> Iterator[VectorItem]:
        vectors = self._plan.vector_column
        for source in self._plan.sources:
            missing = [each for each in vectors.columns if each not in source.columns]
            try:
                if missing:
                    raise InvalidField("file", f"{source.path.name}: no column {missing[0]!r}")
                for row in source.read(vectors.name):
                    try:
                        yield self._item(source, row)
                    except LookalikeError as error:
                        if len(failures) < _MOST_FAILURES:
                            failures.append(self._failed(source, row, error))
                        else:
                            self._untold += 1
            except InvalidField as error:  # the file, from here on
                failures.append(MutationResult("", MutationStatus.FAILED, 0, error))

    def _item(self, source: Source, row: Row) -> VectorItem:
        if row.error:
            raise InvalidField("row", row.error)
        plan = self._plan
        try:
            found = values.vector(plan.vector_column.cell(row.cells))
        except ValueError:  # text among numbers that have a column each
            found = None
        if found is None:
            raise InvalidField("vector", "the row has no vector of numbers")
        if len(found) != plan.dimension:
            raise DimensionMismatch.between("vector", got=len(found), want=plan.dimension)
        further = row.cells.get(FURTHER_VECTORS) if plan.has_further else None
        facts = values.image_facts(row.cells.get("facts")) if plan.has_facts else None
        return VectorItem(
            self._id(source, row),
            found,
            self._metadata(source, row),
            self._fingerprint,
            facts,
            further_vectors=values.vectors(further, plan.dimension),
        )

    def _id(self, source: Source, row: Row) -> str:
        if self._plan.id_column:
            return values.item_id(columns.cell_of(row.cells, self._plan.id_column))
        if len(self._plan.sources) == 1:
            return str(row.number)
        return f"{source.path.relative_to(self._plan.folder).as_posix()}/{row.number}"

    def _metadata(self, source: Source, row: Row) -> types.Metadata | None:
        if not self._plan.metadata_columns:
            return None
        spread: dict[str, JsonValue] = {}
        single: dict[str, JsonValue] = {}
        for column in self._plan.metadata_columns:
            cell = row.cells.get(column)
            if column in self._plan.spread:
                spread.update(values.json_object(cell, column))
                continue
            if not source.typed and column not in self._text_columns:
                cell = text_files.cell_value(cell)
            value = values.json_value(cell, column)
            if value is not None:
                single[column] = value
        return {**spread, **single}

    def _failed(self, source: Source, row: Row, error: LookalikeError) -> MutationResult:
        where = f"{source.path.name}, {row.place}"
        told = InvalidField(error.field, f"{where}: {error.message}")
        try:
            item_id = self._id(source, row) if not row.error else ""
        except InvalidField:
            item_id = ""
        return MutationResult(item_id, MutationStatus.FAILED, 0, told)


def _drained(failures: list[MutationResult]) -> Iterator[MutationResult]:
    while failures:
        yield failures.pop(0)


def _same(item: VectorItem, stored: types.Item) -> bool:
    if item.metadata != stored.metadata or item.facts != stored.facts:
        return False
    vectors, others = list(item.further_vectors), stored.further_vectors
    return len(vectors) == len(others) and all(
        map(_near, [item.vector, *vectors], [stored.vector, *others])
    )


def _near(given: VectorLike, stored: F32 | None) -> bool:
    vector = np.asarray(given, np.float64)
    length = float(np.sqrt(vector @ vector))
    if stored is None or not 0 < length < np.inf:
        return False
    return bool(np.abs(vector / length - stored).max() <= _SAME)
