"""Tells files that lack their end, as one that is being copied does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

# Cameras and editors leave some bytes behind a picture's end.
_TAIL_BYTES = 65_536
_START_OF_SCAN = 0xDA


def lacks_its_end(path: Path) -> bool:
    """Whether a file's format says that more must come. What cannot be told is whole."""
    try:
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            head = handle.read(12)
            # Previews in the head of a JPEG have ends of their own.
            begin = _begin_of_jpeg(handle, size) if head.startswith(b"\xff\xd8") else 0
            handle.seek(max(begin, size - _TAIL_BYTES))
            tail = handle.read()
    except OSError:
        return False
    if not size:
        return True
    if head.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in tail
    if head.startswith(b"\x89PNG"):
        return b"IEND" not in tail
    if head.startswith(b"GIF8"):
        return not tail.rstrip(b"\0").endswith(b"\x3b")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return size < int.from_bytes(head[4:8], "little") + 8
    if head.startswith(b"BM"):
        return size < int.from_bytes(head[2:6], "little")
    return False


def _begin_of_jpeg(handle: BinaryIO, size: int) -> int:
    """Return where the first scan of a JPEG begins; `size` where it is not there yet."""
    at = 2
    while at + 4 <= size:
        handle.seek(at)
        marker = handle.read(4)
        if marker[0] != 0xFF:
            return 0  # no JPEG as it should be: the embedder tells
        if marker[1] == _START_OF_SCAN:
            return at
        at += 1 if marker[1] == 0xFF else 2 + int.from_bytes(marker[2:], "big")
    return size
