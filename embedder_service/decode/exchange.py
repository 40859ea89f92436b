"""What the server and a decode process say to each other.

Pixels and files lie in shared memory; the messages are short JSON objects, each
with its length in front. A decode process has read hostile files: nothing that
it says is unpickled or trusted for size.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any

HEADER = struct.Struct("<I")
# An answer with a thumbnail of 512 px stays far below; more is a broken child.
MAX_MESSAGE_BYTES = 1 << 20


class BrokenMessage(Exception):
    """The other side sent what is no message."""


@dataclass(frozen=True, slots=True)
class Task:
    """One image to decode; its bytes stand at the start of the shared memory.

    `width_px` and `height_px` are 0 for an encoded file. `time_ms` is the CPU
    time that the task may take.
    """

    length: int
    width_px: int
    height_px: int
    size_px: int
    crop_fraction: float
    resize_filter: str
    thumbnail_side_px: int
    time_ms: int


def pack_task(task: Task) -> bytes:
    """Return the message for `task`."""
    return pack(asdict(task))


def pack(message: dict[str, Any]) -> bytes:
    """Return `message` with its length in front."""
    body = json.dumps(message).encode()
    return HEADER.pack(len(body)) + body


def unpack_length(header: bytes) -> int:
    """Return the length of the body that follows.

    Raises:
        BrokenMessage: longer than any message of ours.
    """
    length: int = HEADER.unpack(header)[0]
    if length > MAX_MESSAGE_BYTES:
        raise BrokenMessage(f"a message of {length} bytes")
    return length


def unpack(body: bytes) -> dict[str, Any]:
    """Return the message in `body`.

    Raises:
        BrokenMessage: no JSON object.
    """
    try:
        message = json.loads(body)
    except ValueError as error:
        raise BrokenMessage("not JSON") from error
    if not isinstance(message, dict):
        raise BrokenMessage("not an object")
    return message
