"""Applies mutations, one after the other, inside one open transaction.

What they will change in memory is collected, and takes effect after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Protocol

import orjson

from lookalike.wire.errors import (
    DimensionMismatch,
    Exhausted,
    InvalidField,
    LimitExceeded,
    LookalikeError,
)
from search_service.domain.arrays import F32
from search_service.domain.collection import DuplicatePolicy, NamedVectors
from search_service.domain.confinement import Confinement
from search_service.domain.effects import Added, Effect, Killed, MetadataChanged
from search_service.domain.metadata import Metadata, encode_metadata, merged, same
from search_service.domain.mutations import (
    Delete,
    Mutation,
    MutationOutcome,
    MutationStatus,
    NearDuplicate,
    UpdateMetadata,
    Upsert,
)
from search_service.limits import MAX_METADATA_BYTES
from search_service.shard.live.memory import Memory
from search_service.shard.metadata.filter_index import FilterIndex
from search_service.shard.writing.guarding import guarded
from search_service.store.row_batch import ItemRow, RowBatch
from search_service.store.rules import Registers, judge_delete, judge_metadata, judge_upsert

# Versions are SQLite integers; the rest is headroom for blocks.
MAX_VERSION = 2**62
NO_METADATA = b"{}"


class NearestFinder(Protocol):
    """Finds near-duplicates of vectors that are about to be stored."""

    def nearest(
        self, index: int, id: str, effects: list[Effect], guard: Confinement | None = None
    ) -> NearDuplicate | None:
        """Return the nearest live item other than `id` to mutation `index`'s vector.

        None where none is at or above the threshold. `effects` is what the
        mutations before it have changed. With `guard` only what its caller may see counts.
        """


class MutationBatch:
    """Mutations of one transaction."""

    def __init__(
        self,
        batch: RowBatch,
        *,
        dimension: int,
        policy: DuplicatePolicy,
        finder: NearestFinder | None,
        admit: Callable[[Metadata], None],
        next_ordinal: int,
        refuse_upserts: Exhausted | None = None,
        names: Sequence[NamedVectors] = (),
    ) -> None:
        self._batch = batch
        self._dimension = dimension
        self._policy = policy
        self._finder = finder
        self._admit = admit
        self._refuse_upserts = refuse_upserts
        self.next_ordinal = next_ordinal
        self.effects: list[Effect] = []
        self._names = names
        # By name, what changes of its vectors.
        self.named_effects: list[list[Effect]] = [[] for _ in names]

    def show(self, memory: Memory, named: Sequence[Memory], filters: FilterIndex) -> None:
        """Make what was applied visible, once it is committed, all of it at one moment."""
        with memory.lock:
            memory.apply(self.effects)
            for each, effects in zip(named, self.named_effects, strict=True):
                each.apply(effects)
            filters.apply(self.effects)

    @property
    def erased(self) -> int:
        """How many vectors were removed."""
        every = chain(self.effects, *self.named_effects)
        return sum(1 + each.further for each in every if isinstance(each, Killed))

    def apply(self, index: int, mutation: Mutation, version: int) -> MutationOutcome:
        """Apply one mutation; what is wrong with it is in the outcome."""
        try:
            allowed = guarded(self._batch, mutation)
            if allowed is None:
                status = MutationStatus.NOT_FOUND
                return MutationOutcome(mutation.id, status, version, changed=False)
            mutation = allowed
            metadata = self._check(mutation, version)
            if isinstance(mutation, Upsert):
                return self._upsert(index, mutation, metadata, version)
            if isinstance(mutation, UpdateMetadata):
                if mutation.merge or mutation.if_other:
                    return self._change_stored(mutation, metadata, version)
                return self._update_metadata(mutation, metadata, version)
            return self._delete(mutation, version)
        except LookalikeError as error:
            return MutationOutcome(mutation.id, None, version, error=error)

    def _check(self, mutation: Mutation, version: int) -> bytes:
        """Refuse what cannot be stored; return the metadata as JSON."""
        if not 0 < version <= MAX_VERSION:
            raise InvalidField("version", "the version was not given out by this collection")
        if isinstance(mutation, Delete):
            return b""
        if self._refuse_upserts is not None:
            raise self._refuse_upserts
        if isinstance(mutation, Upsert) or not mutation.merge:
            self._admit(mutation.metadata)
        if isinstance(mutation, Upsert):
            for vector in (mutation.vector, *mutation.further):
                check_vector(vector, self._dimension)
            for each in self._names:
                for vector in mutation.named.get(each.name, ()):
                    check_vector(vector, each.dimension)
        return encode_metadata(mutation.metadata)

    def _upsert(self, index: int, upsert: Upsert, metadata: bytes, version: int) -> MutationOutcome:
        policy = upsert.duplicate_policy or self._policy
        rejected = self._batch.rejection(upsert.id, version)
        if rejected is not None and policy is DuplicatePolicy.REJECT:
            return self._rejection(upsert.id, version, rejected)
        row = self._batch.row(upsert.id)
        verdict = judge_upsert(row.registers, version, keeps_metadata=upsert.keep_metadata)
        if not verdict.writes_vector:
            if verdict.writes_metadata:
                self._tell(row, metadata, version)
            near = row.near if verdict.status is MutationStatus.APPLIED else None
            return MutationOutcome(upsert.id, verdict.status, verdict.version, near_duplicate=near)
        near = None
        if self._finder is not None and policy is not DuplicatePolicy.OFF:
            near = self._finder.nearest(index, upsert.id, self.effects, upsert.guard)
        if near is not None and policy is DuplicatePolicy.REJECT:
            self._batch.reject(upsert.id, version, near)
            return self._rejection(upsert.id, version, near)
        own = metadata if verdict.writes_metadata else None
        self._store(row, upsert, version, near, own)
        return MutationOutcome(upsert.id, verdict.status, version, near_duplicate=near)

    def _store(
        self,
        row: ItemRow,
        upsert: Upsert,
        version: int,
        near: NearDuplicate | None,
        own_metadata: bytes | None,
    ) -> None:
        """Store a vector; `own_metadata` is None where what is there is kept."""
        if row.ordinal is not None:
            self._erase(row.ordinal, self._batch.metadata(row.id))
        metadata = self._batch.metadata(row.id) if own_metadata is None else own_metadata
        self._batch.forget(row.id)
        ordinal = self.next_ordinal
        by_name = [upsert.named.get(each.name, ()) for each in self._names]
        self.next_ordinal += max(1 + len(upsert.further), *map(len, by_name), 0)
        self._batch.add_vectors(ordinal, upsert, metadata)
        held = row.registers
        policy = upsert.duplicate_policy or self._policy
        told = held.metadata if own_metadata is None else version
        flagged = near is not None and policy is DuplicatePolicy.FLAG
        registers = Registers(version, told, held.delete)
        self._batch.put(ItemRow(row.id, registers, ordinal, near, flagged))
        shown = orjson.loads(metadata)
        self.effects.append(Added(ordinal, row.id, upsert.vector, shown, upsert.further))
        for effects, vectors in zip(self.named_effects, by_name, strict=True):
            if vectors:
                effects.append(Added(ordinal, row.id, vectors[0], shown, vectors[1:]))

    def _erase(self, ordinal: int, metadata: bytes) -> None:
        """Remove all vectors of an item, whose metadata this was."""
        own, *by_name = self._batch.erase_vectors(ordinal)
        held = orjson.loads(metadata)
        self.effects.append(Killed(ordinal, held, own - 1))
        for effects, count in zip(self.named_effects, by_name, strict=True):
            if count:
                effects.append(Killed(ordinal, held, count - 1))

    def _update_metadata(
        self, update: UpdateMetadata, metadata: bytes, version: int
    ) -> MutationOutcome:
        row = self._batch.row(update.id)
        verdict = judge_metadata(row.registers, version)
        if verdict.writes_metadata:
            self._tell(row, metadata, version)
        return MutationOutcome(update.id, verdict.status, verdict.version)

    def _change_stored(
        self, update: UpdateMetadata, metadata: bytes, version: int
    ) -> MutationOutcome:
        """Change metadata that depends on what is stored, which only an item has."""
        row = self._batch.row(update.id)
        if row.ordinal is None:
            return MutationOutcome(update.id, MutationStatus.NOT_FOUND, version, changed=False)
        stored = orjson.loads(self._batch.metadata(row.id))
        result = merged(stored, update.metadata) if update.merge else update.metadata
        if update.if_other and same(result, stored):
            told = max(row.registers.vector, row.registers.metadata)
            return MutationOutcome(update.id, MutationStatus.APPLIED, told, changed=False)
        if update.merge:
            metadata = encode_metadata(result)
            if len(metadata) > MAX_METADATA_BYTES:
                raise too_large(update.id, update.metadata, len(metadata))
            self._admit(result)
        return self._update_metadata(update, metadata, version)

    def _tell(self, row: ItemRow, metadata: bytes, version: int) -> None:
        """Write an id's metadata, of `version`."""
        self._change_metadata(row, metadata)
        self._batch.put(replace(row, registers=replace(row.registers, metadata=version)))

    def _change_metadata(self, row: ItemRow, metadata: bytes) -> None:
        if row.ordinal is not None:
            before = orjson.loads(self._batch.metadata(row.id))
            self.effects.append(MetadataChanged(row.ordinal, before, orjson.loads(metadata)))
        self._batch.set_metadata(row, metadata)

    def _delete(self, delete: Delete, version: int) -> MutationOutcome:
        row = self._batch.row(delete.id)
        verdict = judge_delete(row.registers, version)
        if verdict.clears_metadata:  # of before the deletion, which a newer vector kept
            self._change_metadata(row, NO_METADATA)
            self._batch.put(replace(row, registers=replace(row.registers, delete=version)))
        if verdict.deletes:
            registers = replace(row.registers, delete=version)
            gone = replace(row, ordinal=None, near=None, registers=registers)
            held = self._batch.metadata(row.id)
            if row.ordinal is not None:
                self._erase(row.ordinal, held)
            if registers.metadata_counts:
                self._batch.set_metadata(gone, held)
            else:
                self._batch.forget(delete.id)
            self._batch.put(gone)
        return MutationOutcome(delete.id, verdict.status, verdict.version)

    @staticmethod
    def _rejection(id: str, version: int, near: NearDuplicate) -> MutationOutcome:
        return MutationOutcome(id, MutationStatus.REJECTED_DUPLICATE, version, near_duplicate=near)


def check_vector(vector: F32, dimension: int) -> None:
    """Refuse a vector of another length.

    Raises:
        DimensionMismatch: it is not float32 [`dimension`].
    """
    if vector.shape != (dimension,):
        raise DimensionMismatch.between("vector_f32_le", got=vector.size, want=dimension)


def too_large(id: str, patch: Metadata, nbytes: int) -> LimitExceeded:
    """Return the refusal of metadata that a patch would make too large."""
    largest = max(patch, key=lambda key: len(encode_metadata({key: patch[key]})))
    return LimitExceeded(
        "metadata",
        f'of "{id}" would be {nbytes:,} bytes as compact JSON, of which at most '
        f'{MAX_METADATA_BYTES:,} are stored: "{largest[:64]}" takes the most room of what is set',
    )
