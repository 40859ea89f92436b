"""One server for one data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class DataDirectoryInUse(Exception):
    """Another process serves this data directory."""


class DataLock:
    """An advisory lock on a directory, held until `release` or the process ends.

    The kernel drops it with the process, so a killed server leaves none behind.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            DataDirectoryInUse: another process has it.
            OSError: the directory cannot be written.
        """
        handle = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise DataDirectoryInUse(
                f"{self._directory} is in use by another search service"
            ) from error
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
