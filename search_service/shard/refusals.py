"""What a shard answers when it cannot do what is asked, and how it knows."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import apsw

from lookalike.wire.errors import Exhausted, LookalikeError, Reason, Unavailable
from search_service.domain.mutations import MutationOutcome


def closed() -> LookalikeError:
    """Say that the shard takes nothing more."""
    return Unavailable("the collection is closed: try again later", reason=Reason.NOT_READY)


def failed() -> LookalikeError:
    """Say that the store has failed."""
    return Unavailable(
        "the collection's store failed and the service is stopping: what was not"
        " acknowledged may be lost, send it again",
        reason=Reason.STORE_FAILED,
    )


def metadata_unreadable() -> LookalikeError:
    """Say that no filter can be evaluated."""
    return Unavailable(
        "filters cannot be used: the collection's metadata could not be read",
        reason=Reason.STORE_FAILED,
    )


def disk_full() -> Exhausted:
    """Say that there is no room for new data."""
    return Exhausted(
        "the disk of the search service is full: delete items or make room",
        reason=Reason.DISK_FULL,
        retry_delay_s=5.0,
    )


def too_many_unindexed() -> Exhausted:
    """Say that the builder is behind."""
    return Exhausted(
        "too many new vectors wait to be indexed: write more slowly", retry_delay_s=5.0
    )


def refused(error: LookalikeError) -> Future[Any]:
    """Return what was asked for as refused."""
    answer: Future[Any] = Future()
    answer.set_exception(error)
    return answer


def says_full(error: apsw.Error) -> bool:
    """Say whether SQLite failed for want of room, and nothing else."""
    # The write-ahead log's index is a file too, where it shows in another way.
    code: int = getattr(error, "extendedresult", 0)
    return isinstance(error, apsw.FullError) or code == apsw.SQLITE_IOERR_SHMSIZE


def is_disk_full(outcome: MutationOutcome) -> bool:
    """Say whether a mutation was refused for want of room."""
    return outcome.error is not None and outcome.error.reason is Reason.DISK_FULL
