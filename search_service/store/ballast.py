"""Room on the disk that is held back for deletions."""

from __future__ import annotations

import os
import time
from pathlib import Path

# How often it is tried whether there is room again.
TRY_EVERY_S = 1.0
# Enough to delete something of a small store: about ten pages.
_LEAST_BYTES = 256 << 10
_SHARE_OF_STORE = 8


class Ballast:
    """A file of no use but its size, given up when the disk is full.

    `full` says that the disk was found full, and that there has not been room
    for the file since.
    """

    def __init__(self, path: Path, most_bytes: int, store_bytes: int) -> None:
        """Take room in proportion to the store's, `most_bytes` at most."""
        self._path = path
        self._most_bytes = most_bytes
        self._size_bytes = self._proportionate(store_bytes)
        self._next_try_s = 0.0
        self.full = not self._fill()

    def give_up(self) -> None:
        """Make the room free."""
        self.full = True
        self._next_try_s = time.monotonic() + TRY_EVERY_S
        self._path.unlink(missing_ok=True)

    def regain(self) -> None:
        """Take the room back, if it is there; tried now and then while `full`."""
        if self.full and time.monotonic() >= self._next_try_s:
            self._next_try_s = time.monotonic() + TRY_EVERY_S
            self.full = not self._fill()

    def fit(self, store_bytes: int) -> None:
        """Follow the store's size, past a half more or less."""
        wanted = self._proportionate(store_bytes)
        if self.full or 2 * self._size_bytes <= 3 * wanted <= 4 * self._size_bytes:
            return
        self._size_bytes = wanted
        self.full = not self._fill()

    def _proportionate(self, store_bytes: int) -> int:
        return min(self._most_bytes, max(_LEAST_BYTES, store_bytes // _SHARE_OF_STORE))

    def _fill(self) -> bool:
        if not self._size_bytes:
            return True
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size_bytes)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True
