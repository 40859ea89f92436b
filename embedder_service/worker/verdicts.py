"""What a failure says about the entry that met it."""

from __future__ import annotations

from enum import Enum

from embedder_service.worker.ports import PeerLost
from lookalike.wire.errors import LookalikeError, Reason


class Verdict(Enum):
    """What to do with an entry that failed."""

    FINAL = "final"
    """The answer is about the entry and will be the same again: give it up."""
    LATER = "later"
    """The answer is about the service: try again, uncounted."""
    SUSPECT = "suspect"
    """It may be the entry: try it alone, and count."""


_SUSPECT = frozenset({Reason.INTERNAL, Reason.DEADLINE_EXCEEDED})


def verdict_of(error: LookalikeError) -> Verdict:
    """Judge an error of the embedder or the search service."""
    if isinstance(error, PeerLost) or error.reason in _SUSPECT:
        return Verdict.SUSPECT
    return Verdict.LATER if error.retryable else Verdict.FINAL
