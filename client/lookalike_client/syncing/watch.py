"""Tells when a folder is to be looked at again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import watchfiles

# A folder is looked at when it has been quiet for so long, or has not been for longer.
QUIET_S = 1.0
MOST_QUIET_S = 10.0
# And every now and then: shares of other machines tell nothing of what others do there.
RESCAN_S = 300.0
_TICK_MS = 500


def moments(
    folder: Path,
    is_waiting: Callable[[], bool],
    *,
    rescan_s: float = RESCAN_S,
    clock_s: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Yield when there is something to look at; ends with the process.

    `is_waiting` tells that files are still being written: then it yields every tick. A
    folder that goes away and comes back, as a disk does, is watched anew.
    """
    pause = Pause(clock_s, rescan_s)
    while True:
        identity = _identity(folder)
        if identity is None:
            time.sleep(_TICK_MS / 1000)
            if pause.is_over(changed=False, waiting=False):
                yield
            if _identity(folder) is not None:  # it is back, and holds who knows what
                pause.hurry()
            continue
        for changes in watchfiles.watch(
            folder, watch_filter=None, rust_timeout=_TICK_MS, yield_on_timeout=True, debounce=200
        ):
            if pause.is_over(changed=bool(changes), waiting=is_waiting()):
                yield
            if _identity(folder) != identity:
                pause.hurry()
                break


class Pause:
    """Decides how long changes are gathered."""

    def __init__(self, clock_s: Callable[[], float], rescan_s: float) -> None:
        self._clock_s, self._rescan_s = clock_s, rescan_s
        self._looked_s = clock_s()
        self._first_s: float | None = None
        self._last_s = 0.0

    def hurry(self) -> None:
        """Take it that something has changed."""
        now_s = self._clock_s()
        self._last_s = now_s
        if self._first_s is None:
            self._first_s = now_s

    def is_over(self, *, changed: bool, waiting: bool) -> bool:
        """Note whether something changed; return whether to look now."""
        now_s = self._clock_s()
        if changed:
            self.hurry()
        over = waiting or now_s - self._looked_s >= self._rescan_s
        if self._first_s is not None:
            over |= now_s - self._last_s >= QUIET_S or now_s - self._first_s >= MOST_QUIET_S
        if over:
            self._looked_s, self._first_s = now_s, None
        return over


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
