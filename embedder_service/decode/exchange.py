"""What the server and a decode process say to each other.

Pixels and files lie in shared memory; the messages are short JSON objects, one a
packet of a SOCK_SEQPACKET pair, so that none needs more than one system call. A
decode process has read hostile files: nothing that it says is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

# Linux gives a socket 208 KiB by default. The longest answer carries a thumbnail.
MAX_MESSAGE_BYTES = 160 * 1024


class BrokenMessage(Exception):
    """The other side sent what is no message."""


@dataclass(frozen=True, slots=True)
class Task:
    """One image to decode; its bytes stand at the start of the shared memory.

    `width_px` and `height_px` are 0 for an encoded file. `preprocess` holds the fields
    of `embedder_service.preprocess.Preprocess`. `time_ms` is the CPU
    time that the task may take.
    """

    length: int
    width_px: int
    height_px: int
    preprocess: dict[str, Any]
    thumbnail_side_px: int
    time_ms: int


_TASK_FIELDS = tuple(item.name for item in fields(Task))


def pack_task(task: Task) -> bytes:
    """Return the message for `task`."""
    return pack({name: getattr(task, name) for name in _TASK_FIELDS})


def pack(message: dict[str, Any]) -> bytes:
    """Return `message` as a packet."""
    return json.dumps(message).encode()


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
