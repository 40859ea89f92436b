"""Durable files: written, synced and renamed so that a crash leaves old or new."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

# Written bytes after which they are forced to the device: left to the kernel they
# would go out all at once, and the commits of a store wait behind them.
SYNC_EVERY_BYTES = 8 << 20


def sync_file(path: Path) -> None:
    """Force the file's bytes to the device."""
    _sync(path, os.O_RDONLY)


def sync_directory(path: Path) -> None:
    """Force the directory's entries to the device."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


class SyncedWriter:
    """Writes a file that is forced to the device now and then, and by `sync`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unsynced = 0

    def write(self, piece: bytes | memoryview) -> None:
        """Write a piece."""
        self._file.write(piece)
        self._unsynced += len(piece)
        if self._unsynced >= SYNC_EVERY_BYTES:
            self.sync()

    def sync(self) -> None:
        """Force what was written to the device; call it at the end."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced = 0


def write_durably(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Create or replace `path` with `pieces`, atomically and durably.

    Raises:
        OSError: an earlier file was left as it is, unless its directory cannot be synced.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            writer = SyncedWriter(file)
            for piece in pieces:
                writer.write(piece)
            writer.sync()
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def publish_directory(temporary: Path, final: Path) -> None:
    """Sync all files of `temporary`, then rename it to `final`, durably."""
    for path in sorted(temporary.iterdir()):
        sync_file(path)
    sync_directory(temporary)
    temporary.rename(final)
    sync_directory(final.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory and what is in it; nothing happens if it is gone."""
    if path.exists():
        shutil.rmtree(path)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
