"""An SQLite file layer whose disk can fail or be full, as real ones do."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

_names = itertools.count()


class FaultyDisk(apsw.VFS):
    """The platform's files, until told otherwise.

    `fail_syncs` makes each fsync fail. `room_bytes`, when set, is how many bytes
    files may still grow by. While `synced_when` is clear, each fsync waits. All count
    for files of this layer only.
    """

    def __init__(self) -> None:
        self.name = f"faulty-{next(_names)}"
        self.fail_syncs = False
        self.failed_syncs = 0
        self.room_bytes: int | None = None
        self.synced_when = threading.Event()
        self.synced_when.set()
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def take_room(self, nbytes: int) -> None:
        if self.room_bytes is None or nbytes <= 0:
            return
        if nbytes > self.room_bytes:
            raise apsw.FullError("no room")
        self.room_bytes -= nbytes


class _File(apsw.VFSFile):
    def __init__(
        self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:
        self._disk.synced_when.wait(60)
        if self._disk.fail_syncs:
            self._disk.failed_syncs += 1
            raise apsw.IOError("the disk failed")
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.take_room(offset + len(data) - self.xFileSize())
        super().xWrite(data, offset)


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """A layer that is there for the block."""
    disk = FaultyDisk()
    try:
        yield disk
    finally:
        disk.unregister()
