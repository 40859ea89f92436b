"""Changes of items, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain
from typing import TypeAlias

from lookalike.wire.errors import LookalikeError
from search_service.domain.arrays import F32
from search_service.domain.collection import DuplicatePolicy
from search_service.domain.confinement import Confinement
from search_service.domain.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Upsert:
    """Store a vector with all that belongs to it, replacing what the id held.

    `vector` is float32 [D], unit L2 (see `lookalike.wire.vectors.normalise`).
    `facts` is opaque to the shard. `version` 0 takes the next one.
    `further` are more vectors of the item, as of other photographs of it, each as `vector`;
    the one that is nearest to a query counts. `named` are its vectors by the names that
    the collection has for them, of the dimensions that these have. `duplicate_policy` None is
    the collection's. With `keep_metadata` the id's stored metadata stays, and `metadata` does
    not count. With `guard` an item that is there must be of its caller's, so must a
    near-duplicate, and new metadata says whose it is.
    """

    id: str
    vector: F32
    metadata: Metadata = field(default_factory=dict)
    facts: bytes = b""
    thumbnail: bytes = b""
    version: int = 0
    duplicate_policy: DuplicatePolicy | None = None
    keep_metadata: bool = False
    guard: Confinement | None = None
    further: tuple[F32, ...] = ()
    named: Mapping[str, tuple[F32, ...]] = field(default_factory=dict)

    @property
    def all_vectors(self) -> list[F32]:
        """All vectors that it brings."""
        return [self.vector, *self.further, *chain.from_iterable(self.named.values())]


@dataclass(frozen=True, slots=True)
class UpdateMetadata:
    """Replace the metadata of an item and leave its vector alone.

    `merge` applies `metadata` to what is stored, as a JSON merge patch; that takes the
    next version. `if_other` changes nothing where that would be what is stored. With
    `guard` there is no item but its caller's.
    """

    id: str
    metadata: Metadata
    version: int = 0
    merge: bool = False
    if_other: bool = False
    guard: Confinement | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an item. With `guard` there is none but its caller's."""

    id: str
    version: int = 0
    guard: Confinement | None = None


Mutation: TypeAlias = Upsert | UpdateMetadata | Delete


class MutationStatus(IntEnum):
    """What became of a mutation; numbers as in `lookalike.v1.MutationStatus`."""

    APPLIED = 1
    SUPERSEDED = 2
    NOT_FOUND = 3
    REJECTED_DUPLICATE = 4


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A stored item that an arriving vector is near to; `score` is the cosine."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class MutationOutcome:
    """What became of one mutation; `error` is set when it was refused.

    `changed` is False where `UpdateMetadata.if_other` had nothing to change. `position`
    is where the mutation stands in the collection's log, 0 without one.
    """

    id: str
    status: MutationStatus | None
    version: int
    error: LookalikeError | None = None
    near_duplicate: NearDuplicate | None = None
    changed: bool = True
    position: int = 0
