"""Several files seen as one array, so that segments can share them by hard link."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search_service.domain.arrays import F32

_MAP_FIXED = 0x10  # the same on Linux and macOS; Python's mmap does not name it
_PROT_NONE = 0  # so of this
_MAP_FAILED = ctypes.c_void_p(-1).value


def map_rows(files: Sequence[Path], sizes: Sequence[int], dimension: int) -> F32:
    """Map `files` one behind the other as a read-only float32 [N, dimension].

    `sizes` are their lengths in bytes, which the caller has checked; all but the
    last are multiples of the page size. The mapping lives as long as the array
    and its views do: no reader can be left with a hole.

    Raises:
        OSError: a file cannot be opened or mapped.
        ValueError: a size does not end on a page.
    """
    total = sum(sizes)
    if total == 0:
        return np.empty((0, dimension), dtype=np.float32)
    if any(size % mmap.PAGESIZE for size in sizes[:-1]):
        raise ValueError(f"chunk sizes {sizes} are no multiples of the page size")
    libc = _libc()
    base = _map(libc, None, total, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    try:
        offset = 0
        for path, size in zip(files, sizes, strict=True):
            _map_file(libc, base + offset, path, size)
            offset += size
    except OSError:
        libc.munmap(base, total)
        raise
    owner = (ctypes.c_char * total).from_address(base)
    weakref.finalize(owner, libc.munmap, base, total)
    rows: F32 = np.frombuffer(memoryview(owner), dtype="<f4").reshape(-1, dimension)
    rows.flags.writeable = False
    return rows


def _map_file(libc: ctypes.CDLL, address: int, path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _map(libc, address, size, mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED, descriptor)
    finally:
        os.close(descriptor)


def _map(
    libc: ctypes.CDLL, address: int | None, size: int, protection: int, flags: int, descriptor: int
) -> int:
    mapped = libc.mmap(address, size, protection, flags, descriptor, 0)
    if mapped == _MAP_FAILED:
        code = ctypes.get_errno()
        raise OSError(code, f"mmap of {size} bytes: {os.strerror(code)}")
    return int(mapped)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc
