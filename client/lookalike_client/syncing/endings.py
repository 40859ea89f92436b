"""Tells files that lack their end, as one that is being copied does."""

from __future__ import annotations

import os
from pathlib import Path

# Cameras and editors leave some bytes behind a picture's end.
_TAIL_BYTES = 65_536


def lacks_its_end(path: Path) -> bool:
    """Whether a file's format says that more must come. What cannot be told is whole."""
    try:
        with path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            head = handle.read(12)
            handle.seek(max(0, size - _TAIL_BYTES))
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
        return b"\x3b" not in tail[-64:]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return size < int.from_bytes(head[4:8], "little") + 8
    if head.startswith(b"BM"):
        return size < int.from_bytes(head[2:6], "little")
    return False
