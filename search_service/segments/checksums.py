"""CRC-32 over files.

zlib's CRC-32 runs at 3.5 GB/s here against 0.8 (blake2b) and 1.5 (SHA-256), is
in the standard library, releases the GIL, finds every burst of up to 32 bits and
misses other damage with probability 2^-32. It guards against decay, not malice.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from search_service.segments.errors import SegmentDamaged

_PIECE_BYTES = 4 << 20  # large enough that the GIL is released for about a millisecond


@dataclass(frozen=True, slots=True)
class FileSum:
    """Size in bytes and CRC-32 of a file."""

    size: int
    crc32: int


def sum_file(path: Path) -> FileSum:
    """Read a file through and return its size and CRC-32."""
    crc = size = 0
    buffer = bytearray(_PIECE_BYTES)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(buffer):
            crc = zlib.crc32(view[:read], crc)
            size += read
    return FileSum(size, crc)


def check_size(path: Path, size: int) -> None:
    """Check that a file is there and has `size` bytes.

    Raises:
        SegmentDamaged: it is not so.
    """
    try:
        found = path.stat().st_size
    except OSError as error:
        raise SegmentDamaged(f"{path.name}: cannot be read: {error.strerror}") from error
    if found != size:
        raise SegmentDamaged(f"{path.name}: {found} bytes, should be {size}")


def check_file(path: Path, expected: FileSum) -> None:
    """Check size and CRC-32 of a file.

    Raises:
        SegmentDamaged: it differs or cannot be read.
    """
    check_size(path, expected.size)
    try:
        found = sum_file(path)
    except OSError as error:
        raise SegmentDamaged(f"{path.name}: cannot be read: {error.strerror}") from error
    if found != expected:
        raise SegmentDamaged(f"{path.name}: the checksum differs")
