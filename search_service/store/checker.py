"""A thread that reads a store through again and again, slowly; and what a start reads."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from pathlib import Path

import apsw

from search_service.priority import lower_priority
from search_service.store.check import read_through
from search_service.store.damage import StoreHealth, is_damage
from search_service.store.schema import open_reader

_log = logging.getLogger(__name__)

# What a start reads at most: a small store whole. 16 MiB take 20 to 60 ms.
BYTES_AT_START = 16 << 20
# Between two rounds: ten times as long as a round takes, and this at least.
LEAST_PAUSE_S = 60.0
PAUSE_FACTOR = 10.0


def look(db: apsw.Connection, dimension: int, health: StoreHealth) -> None:
    """Read what a start can afford, whatever the size of the store.

    Raises:
        apsw.Error: reading fails otherwise than by damage.
    """
    left = BYTES_AT_START

    def spend(nbytes: int) -> bool:
        nonlocal left
        left -= nbytes
        return left > 0

    read_through(db, dimension, health.note, spend)


class StoreChecker:
    """Reads a store through at `bytes_per_s` at most; 0: never."""

    def __init__(
        self, path: Path, vfs: str, dimension: int, health: StoreHealth, *, bytes_per_s: float
    ) -> None:
        self._path = path
        self._vfs = vfs
        self._dimension = dimension
        self._health = health
        self._bytes_per_s = bytes_per_s
        self._stop = threading.Event()
        self._free_at_s = 0.0
        self._thread = threading.Thread(target=self._run, name="store-check", daemon=True)

    def start(self) -> None:
        """Begin the first round."""
        if self._bytes_per_s:
            self._thread.start()

    def close(self) -> None:
        """End."""
        self._stop.set()
        self._health.suspected.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        lower_priority()
        while not self._stop.is_set():
            begun_s = self._free_at_s = time.monotonic()
            try:
                # A new connection has nothing in its cache: all is read from the file.
                with closing(open_reader(self._path, self._vfs)) as db:
                    read_through(db, self._dimension, self._health.note, self._spend)
            except apsw.Error as error:
                self._note(error)
            took_s = time.monotonic() - begun_s
            self._health.suspected.wait(max(LEAST_PAUSE_S, PAUSE_FACTOR * took_s))
            self._health.suspected.clear()

    def _note(self, error: apsw.Error) -> None:
        if is_damage(error):
            self._health.note(error, "its file")
        else:
            _log.warning("the store could not be checked, and will be again: %s", error)

    def _spend(self, nbytes: int) -> bool:
        now_s = time.monotonic()
        self._free_at_s = max(self._free_at_s, now_s) + nbytes / self._bytes_per_s
        return not self._stop.wait(max(0.0, self._free_at_s - now_s))
