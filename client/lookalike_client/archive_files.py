"""Files of a client: written as a whole or not at all, read in pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lookalike.v1 import snapshot_pb2

PIECE_BYTES = 1 << 20


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write, which takes its name when the block has ended well.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # renamed by now if all went well


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file in pieces."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def upload_request(piece: bytes) -> snapshot_pb2.UploadSnapshotRequest:
    """Return a message of an upload."""
    return snapshot_pb2.UploadSnapshotRequest(chunk=piece)
