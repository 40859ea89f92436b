"""Which mutation wins: the same end for every order of arrival.

Three registers an id, each holding the greatest version it has seen: vector,
metadata and deletion. A vector or a metadata object counts only while its
version is greater than the deletion's. An upsert writes the vector and the
metadata register, each on its own: metadata that is newer than an upsert that
comes late is kept, and waits, without a vector, when it came first. An upsert that
keeps metadata writes the vector register alone, which can thereby be ahead of the
metadata's: what is between the two still changes the metadata, when it comes late.
"""

from __future__ import annotations

from dataclasses import dataclass

from search_service.domain.mutations import MutationStatus


@dataclass(frozen=True, slots=True)
class Registers:
    """The versions of an id; 0 for none. `live`: there is a vector that counts."""

    vector: int = 0
    metadata: int = 0
    delete: int = 0

    @property
    def live(self) -> bool:
        """Whether the id is an item."""
        return self.vector > self.delete

    @property
    def metadata_counts(self) -> bool:
        """Whether the metadata outlives the last deletion."""
        return self.metadata > self.delete


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a mutation changes, and what its sender hears.

    `version` is the mutation's own, or the one that outranks it.
    """

    status: MutationStatus
    version: int
    writes_vector: bool = False
    writes_metadata: bool = False
    deletes: bool = False
    clears_metadata: bool = False


def judge_upsert(held: Registers, version: int, *, keeps_metadata: bool = False) -> Judgement:
    """Judge an upsert at `version`; the same version again changes nothing."""
    if held.live and version == held.vector:
        return Judgement(MutationStatus.APPLIED, version)
    outranking = max(held.vector, held.delete)
    if version <= outranking:
        told = not keeps_metadata and version > max(held.metadata, held.delete)
        return Judgement(MutationStatus.SUPERSEDED, outranking, writes_metadata=told)
    return Judgement(
        MutationStatus.APPLIED,
        version,
        writes_vector=True,
        writes_metadata=not keeps_metadata and version > held.metadata,
    )


def judge_metadata(held: Registers, version: int) -> Judgement:
    """Judge a metadata update; without an item it waits, and is not found."""
    absent = MutationStatus.APPLIED if held.live else MutationStatus.NOT_FOUND
    if version == held.metadata and held.metadata_counts:
        return Judgement(absent, version)
    outranking = max(held.metadata, held.delete)
    if version <= outranking:
        return Judgement(MutationStatus.SUPERSEDED, outranking)
    return Judgement(absent, version, writes_metadata=True)


def judge_delete(held: Registers, version: int) -> Judgement:
    """Judge a deletion; without an item it is remembered, and is not found."""
    if version == held.delete:
        return Judgement(MutationStatus.APPLIED, version)
    if held.live and version < held.vector:
        clears = version > max(held.metadata, held.delete)
        return Judgement(MutationStatus.SUPERSEDED, held.vector, clears_metadata=clears)
    if version < held.delete:
        return Judgement(MutationStatus.SUPERSEDED, held.delete)
    status = MutationStatus.APPLIED if held.live else MutationStatus.NOT_FOUND
    return Judgement(status, version, deletes=True)
