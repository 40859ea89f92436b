"""What is done next with an entry that failed."""

from __future__ import annotations

from enum import Enum

from embedder_service.worker.protocols import PeerLost
from lookalike.wire.errors import LookalikeError, Reason


class NextStep(Enum):
    """What is done next."""

    GIVE_UP = "give up"
    """The answer is about the entry and will be the same again."""
    WAIT = "wait"
    """The answer is about the service: try again later, uncounted."""
    TRY_ALONE = "try alone"
    """The entry may be at fault: try it by itself, and count the try."""


_PERHAPS_THE_ENTRY = frozenset({Reason.INTERNAL, Reason.DEADLINE_EXCEEDED})


def next_step_after(error: LookalikeError) -> NextStep:
    """Return what follows from an error of the embedder or the search service."""
    if isinstance(error, PeerLost) or error.reason in _PERHAPS_THE_ENTRY:
        return NextStep.TRY_ALONE
    return NextStep.WAIT if error.retryable else NextStep.GIVE_UP
