"""What a long analysis has found so far, so that one that was killed goes on from there.

    DATA/resumable/KEY.parts    records of one run, each: length, CRC-32, name, arrays

A key names the question and the state of the collection: after a change, or with other
options, there is nothing to go on from. Records are appended and never synced: what a
crash of the machine cuts short or damages is left out, and found anew. They hold rows,
numbers and nothing of the items themselves.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import logging
import os
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_log = logging.getLogger(__name__)

Arrays: TypeAlias = tuple[npt.NDArray[Any], ...]

_ENDING = ".parts"
_HEADER = struct.Struct("<II16s")
# 200,000 vectors with few pairs come to 2 MB, a million compared pictures to 10 MB. Beyond
# it nothing more is kept, and a run that was killed goes on from there.
MOST_BYTES = 64 << 20
# Of so many runs, the latest: as many as run at a time.
MOST_KEPT = 2


class Checkpoint:
    """The records of one run; may be used by several threads.

    Of two runs that ask the same at a time, the second keeps nothing.
    """

    def __init__(self, directory: Path | None, key: str) -> None:
        """Use the file of a key; None for nothing to be kept.

        Raises:
            OSError: the directory cannot be used.
        """
        self._lock = threading.Lock()
        self._places: dict[bytes, tuple[int, int]] = {}
        self._end = 0
        self._file: io.FileIO | None = None
        if directory is None:
            return
        directory.mkdir(exist_ok=True)
        self._path = directory / f"{key}{_ENDING}"
        file = io.FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return
        self._file = file
        os.utime(self._path)
        self._read()
        _drop_oldest(directory)

    def done(self, name: Sequence[npt.NDArray[Any]], find: Callable[[], Arrays]) -> Arrays:
        """Return what was found for a part, or find it and keep that.

        `name` are the arrays that the part is of.
        """
        if self._file is None:
            return find()
        digest = hashlib.blake2b(digest_size=16)
        for each in name:
            digest.update(f"{each.dtype}{each.shape}".encode())
            digest.update(np.ascontiguousarray(each).data)
        key = digest.digest()
        if (kept := self._kept(key)) is not None:
            return kept
        found = find()
        self._keep(key, found)
        return found

    def end(self) -> None:
        """Remove the records: the run has ended."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Leave the records to the next run."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _kept(self, key: bytes) -> Arrays | None:
        place = self._places.get(key)
        if place is None or self._file is None:
            return None
        return _unpacked(os.pread(self._file.fileno(), place[1], place[0]))

    def _keep(self, key: bytes, arrays: Arrays) -> None:
        packed = io.BytesIO()
        np.savez(packed, *arrays)
        data = packed.getvalue()
        record = _HEADER.pack(len(data), zlib.crc32(key + data), key) + data
        with self._lock:
            if self._file is None or self._end + len(record) > MOST_BYTES:
                return
            try:
                os.pwrite(self._file.fileno(), record, self._end)
            except OSError as error:
                _log.warning("nothing more is kept of an analysis: %s", error)
                self._end = MOST_BYTES
            else:
                self._end += len(record)

    def _read(self) -> None:
        """Note where records lie, up to the first that is not whole."""
        assert self._file is not None  # opened by the caller
        size = os.fstat(self._file.fileno()).st_size
        while self._end + _HEADER.size <= size:
            header = os.pread(self._file.fileno(), _HEADER.size, self._end)
            length, checksum, key = _HEADER.unpack(header)
            start = self._end + _HEADER.size
            if length > MOST_BYTES:
                break
            data = os.pread(self._file.fileno(), length, start)
            if len(data) < length or zlib.crc32(key + data) != checksum:
                break
            self._places[key] = (start, length)
            self._end = start + length
        self._file.truncate(self._end)


def _unpacked(data: bytes) -> Arrays:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return tuple(arrays[name] for name in arrays.files)


def _drop_oldest(directory: Path) -> None:
    """Keep the latest few; one that another run uses is its own until it closes it."""
    kept: list[tuple[float, Path]] = []
    for path in directory.glob(f"*{_ENDING}"):
        try:
            kept.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue  # a run beside this one has ended
    for _, path in sorted(kept, reverse=True)[MOST_KEPT:]:
        path.unlink(missing_ok=True)
