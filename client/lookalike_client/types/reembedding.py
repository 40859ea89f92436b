"""Collections that move to another model."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.wire.errors import LookalikeError


@dataclass(frozen=True, slots=True)
class Reembedding:
    """Two collections that take each other's changes.

    `source` was there first, `target` has the new model. Images that are queued for one,
    and items whose picture it lacks. `unsettled` counts deletions and metadata that one of
    them has and the other has not yet, `source_only_queued` images that are queued for the
    source alone, since before there was a pair: `start` queues them. `source_damage` and
    `target_damage` say what is wrong with one of them, else nothing; what is missing is then
    not known.
    """

    source: str
    target: str
    source_items: int
    target_items: int
    target_queued: int
    target_missing: int
    source_queued: int
    source_missing: int
    unsettled: int
    source_only_queued: int = 0
    source_damage: str = ""
    target_damage: str = ""


@dataclass(frozen=True, slots=True)
class MissingItem:
    """An item whose picture a collection lacks.

    `sha256` is that of the file that the other collection was given; empty where that is
    not known. It has `pictures` there; of what files the others came `further_sha256` says,
    the SHA-256 of their SHA-256 digests.
    """

    id: str
    version: int
    sha256: bytes
    further_sha256: bytes = b""
    pictures: int = 1


@dataclass(frozen=True, slots=True)
class OfferOutcome:
    """What became of a picture that was offered: `queued`, nothing to do, or an `error`."""

    id: str
    queued: bool
    error: LookalikeError | None = None


@dataclass(frozen=True, slots=True)
class EndedReembedding:
    """A pair of collections that was ended, and how many items were removed with one."""

    source: str
    target: str
    deleted_items: int
