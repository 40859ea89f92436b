"""A decode process: `python -m embedder_service.decode.child SOCKET MEMORY LIMITS`.

It reads a task, decodes, and writes the square of pixels over the file in the
shared memory. A file that makes it crash, hang or run out of memory ends this
process and nothing else. It ends by itself when the server is gone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import mmap
import os
import resource
import signal
import socket
import sys
from typing import Any

import numpy as np

from embedder_service.decode import facts, picture
from embedder_service.decode.colour import to_srgb
from embedder_service.decode.exchange import MAX_MESSAGE_BYTES, Task, pack, unpack
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.pdq import pdq_hash
from embedder_service.preprocess import Preprocess, least_short_side_px
from lookalike.wire.errors import LookalikeError, Reason

_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Serve tasks until the socket closes."""
    connection = socket.socket(fileno=int(arguments[0]))
    settings = json.loads(arguments[2])
    _hush()
    _confine(settings["memory_bytes"], settings["nice"])
    limits = ImageLimits(**settings["limits"])
    picture.prepare_process(limits)
    with mmap.mmap(int(arguments[1]), settings["shared_bytes"]) as memory:
        decoder = _Decoder(connection, memory, limits, settings["free_pixels"])
        connection.sendall(pack({"ready": True}))
        while (message := _receive(connection)) is not None:
            if not decoder.run(Task(**message)):
                return 0
    return 0


class _Decoder:
    """Runs tasks; asks leave before it decodes a large picture."""

    def __init__(
        self, connection: socket.socket, memory: mmap.mmap, limits: ImageLimits, free_pixels: int
    ) -> None:
        self._connection = connection
        self._memory = memory
        self._limits = limits
        self._free_pixels = free_pixels

    def run(self, task: Task) -> bool:
        """Answer one task; its failures are answers too. Return whether to go on."""
        # Counts CPU time in C code as well; its signal ends the process.
        signal.setitimer(signal.ITIMER_PROF, task.time_ms / 1000)
        try:
            self._decode(task)
        except LookalikeError as error:
            # The heap of a process that ran out of memory is not worth keeping.
            spent = isinstance(error.__cause__, MemoryError)
            return self._refuse(error.reason, error.message, spent=spent)
        except MemoryError:
            return self._refuse(Reason.IMAGE_TOO_LARGE, picture.TOO_MUCH_MEMORY, spent=True)
        except Exception as error:  # noqa: BLE001 - hostile input: one image, not the process
            _log.warning("unexpected %s while decoding", type(error).__name__, exc_info=error)
            return self._refuse(Reason.IMAGE_UNREADABLE, picture.DAMAGED, spent=False)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return True

    def _refuse(self, reason: Reason, message: str, *, spent: bool) -> bool:
        answer = {"reason": reason.name, "message": message, "spent": spent}
        self._connection.sendall(pack(answer))
        return not spent

    def _decode(self, task: Task) -> None:
        """Send the pixels, and then the facts: the network need not wait for those."""
        data = self._memory[: task.length]
        prepare = Preprocess(**task.preprocess)
        if task.width_px:
            seen = picture.from_raw(data, task.width_px, task.height_px)
        else:
            seen = picture.decode_file(
                data,
                self._limits,
                least_short_side_px=_least_short_side(prepare),
                admit=self._admit,
                ground=prepare.ground,
            )
        pixels = prepare.square(seen.rgb)
        shared = np.frombuffer(self._memory, dtype=np.uint8, count=pixels.size)
        shared[:] = pixels.reshape(-1)
        del shared  # a mapping with views on it cannot be closed
        self._connection.sendall(_PIXELS_READY)
        self._connection.sendall(pack(_facts_of(seen, data, task.thumbnail_side_px)))

    def _admit(self, pixels: int) -> None:
        if pixels <= self._free_pixels:
            return
        self._connection.sendall(pack({"ask_pixels": pixels}))
        if _receive(self._connection) is None:
            raise SystemExit(0)


_PIXELS_READY = pack({"pixels": True})


def _facts_of(seen: picture.Picture, data: bytes, thumbnail_side_px: int) -> dict[str, Any]:
    # A network may have wanted the pixels as they are; facts are the same for every one.
    working = to_srgb(picture.reduced(seen.rgb, _COMMON_SHORT_SIDE_PX))
    luminance = facts.working_luminance(working)
    # Lists of known images are made by programs that know no colour profiles.
    plain = picture.reduced(seen.unprofiled or seen.rgb, _COMMON_SHORT_SIDE_PX)
    pdq, pdq_quality = pdq_hash(plain, seen.width_px, seen.height_px)
    answer: dict[str, Any] = {
        "width_px": seen.width_px,
        "height_px": seen.height_px,
        "format": seen.format,
        "sha256": hashlib.sha256(data).hexdigest(),
        "pixel_sha256": seen.digest().hex(),
        "perceptual_hash": facts.perceptual_hash(luminance),
        "sharpness": facts.sharpness(luminance),
        "truncated": seen.truncated,
        "blank": facts.is_blank(luminance),
        "pdq": pdq.hex(),
        "pdq_quality": pdq_quality,
        "grey": base64.b64encode(facts.grey_thumbnail(luminance)).decode(),
    }
    if thumbnail_side_px:
        webp = facts.thumbnail(working, thumbnail_side_px)
        answer["thumbnail"] = base64.b64encode(webp).decode()
    return answer


# Decoding shrinks no further than this, so that facts and thumbnails come from
# the same picture for every network with an input of up to 260 px.
_COMMON_SHORT_SIDE_PX = least_short_side_px(260, 0.875)


def _least_short_side(prepare: Preprocess) -> int | None:
    own = prepare.least_short_side_px
    return None if own is None else max(own, _COMMON_SHORT_SIDE_PX)


def _confine(memory_bytes: int, nice: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if nice:
        os.nice(nice)
    # Ctrl-C reaches the whole group; the server decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _hush() -> None:
    """Keep what libraries in C print about files out of the service's log."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _receive(connection: socket.socket) -> dict[str, Any] | None:
    body = connection.recv(MAX_MESSAGE_BYTES)
    return unpack(body) if body else None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
