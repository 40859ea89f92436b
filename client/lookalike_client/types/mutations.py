"""What became of mutations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lookalike.wire.errors import LookalikeError


class MutationStatus(StrEnum):
    """What became of a mutation."""

    FAILED = "failed"
    APPLIED = "applied"
    SUPERSEDED = "superseded"
    NOT_FOUND = "not_found"
    REJECTED_DUPLICATE = "rejected_duplicate"


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A stored item that an arriving one looks like; `score` is the cosine."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class MutationResult:
    """What became of one mutation; `error` is set when it failed.

    `position` is where it was acknowledged in the log of a collection on a cluster, as
    `read_position` of a search takes it; 0 on one machine.
    """

    id: str
    status: MutationStatus
    version: int
    error: LookalikeError | None = None
    near_duplicate: NearDuplicate | None = None
    position: int = 0
