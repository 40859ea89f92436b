"""How fast a snapshot is copied, so that searches and writes do not notice."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from lookalike.wire.errors import Exhausted, Reason, Unavailable
from search_service.store.damage import damaged, is_damage

_log = logging.getLogger(__name__)

# What is copied or read between two looks at the clock.
PIECE_BYTES = 1 << 20
# No room: the device's, a quota's, or the limit of the process on a file's size.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Pace:
    """A bound on bytes a second, and the way to end long work early."""

    def __init__(self, bytes_per_s: float, stop: threading.Event) -> None:
        self._bytes_per_s = bytes_per_s
        self._stop = stop
        self._free_at_s = time.monotonic()

    def spend(self, nbytes: int) -> None:
        """Account for `nbytes` and wait as long as they should take.

        Raises:
            Unavailable: the service is stopping.
        """
        now_s = time.monotonic()
        self._free_at_s = max(self._free_at_s, now_s) + nbytes / self._bytes_per_s
        if self._stop.wait(max(0.0, self._free_at_s - now_s)):
            raise Unavailable("the search service is stopping", reason=Reason.NOT_READY)


def claim_room(directory: Path, nbytes: int) -> None:
    """See that there is room for `nbytes` in `directory` before any work is done.

    Raises:
        OSError: there is not.
    """
    path = directory / "room"
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(nbytes, 1))
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise what the disk says as what a caller can act on.

    Raises:
        Exhausted: DISK_FULL.
        StoreDamaged: what is read is not what was written.
        Unavailable: STORE_FAILED, the disk fails otherwise.
    """
    try:
        yield
    except (OSError, apsw.Error) as error:
        if is_damage(error):
            raise damaged() from error
        if isinstance(error, apsw.FullError) or getattr(error, "errno", None) in _FULL:
            raise Exhausted(
                "the disk of the search service is full: delete snapshots or make room",
                reason=Reason.DISK_FULL,
                retry_delay_s=5.0,
            ) from error
        _log.exception("the files of a snapshot cannot be used")
        raise Unavailable(
            "the snapshot's files cannot be read or written; the log says why",
            reason=Reason.STORE_FAILED,
        ) from error
