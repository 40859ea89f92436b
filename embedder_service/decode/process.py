"""The server's end of one decode process."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from embedder_service.decode.exchange import BrokenMessage, Task, pack, pack_task
from embedder_service.decode.facts import ImageFacts
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.line import Line
from embedder_service.preprocess import U8
from lookalike.wire.errors import Exhausted, ImageTooLarge, ImageUnreadable, LookalikeError, Reason

# Python, NumPy and Pillow import in 0.3 s; a machine under load takes longer.
_START_TIMEOUT_S = 60.0
# A copy into shared memory of this size takes 0.2 ms: more leaves the loop.
_COPY_ON_LOOP_BYTES = 1 << 20

# By the clock a decode may take this many times its CPU time, and then is a fault of
# the machine, to be tried again: no image is judged by how busy the cores are.
_CLOCK_OVER_CPU = 10.0
_LEAST_CLOCK_S = 2.0

PixelLease = Callable[[int], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """What one decode process may use.

    `free_pixels` is the size of a picture that needs no leave of the budget of
    pixels in flight. `timeout_ms` bounds the CPU time of one image.
    """

    limits: ImageLimits
    memory_bytes: int
    timeout_ms: int
    free_pixels: int
    nice: int


class ProcessDied(Exception):
    """The process ended or had to be ended; `image_error` says so to the caller."""

    def __init__(self, image_error: LookalikeError, cause: str) -> None:
        super().__init__(image_error.message)
        self.image_error = image_error
        self.cause = cause


class DecodeProcess:
    """One decode process. Not shared: one task at a time."""

    def __init__(self, options: ProcessOptions, lease: PixelLease) -> None:
        self._options = options
        self._lease = lease
        # Room for the largest file, raw picture or square; pages that no image
        # has touched cost nothing.
        limits = options.limits
        self._shared_bytes = max(limits.max_image_bytes, 3 * limits.max_image_pixels)
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Line | None = None
        self._memory: mmap.mmap | None = None
        self._until_s = 0.0

    @property
    def pid(self) -> int | None:
        """The process's id, None while it is not running."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            OSError: it cannot be started, or ends at once.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line = Line(ours)
        shared = os.memfd_create("lookalike-decode")
        try:
            os.ftruncate(shared, self._shared_bytes)
            self._memory = mmap.mmap(shared, self._shared_bytes)
            self._process = self._spawn(theirs.fileno(), shared)
        finally:
            os.close(shared)
            theirs.close()
        try:
            await self._line.receive(_START_TIMEOUT_S)
        except (TimeoutError, BrokenMessage, EOFError) as error:
            await self.stop()
            raise OSError("a decode process does not start") from error

    async def pixels(self, task: Task, data: bytes) -> U8:
        """Return the square of one image, uint8 [S, S, 3]; `facts` must follow.

        Raises:
            ImageUnreadable, ImageTooLarge: the image's own fault.
            ProcessDied: the process is gone; whose fault it was, its error says.
        """
        with self._deaths() as deaths:
            await self._write(data)
            patience_s = max(_CLOCK_OVER_CPU * self._options.timeout_ms / 1000, _LEAST_CLOCK_S)
            self._until_s = time.monotonic() + patience_s
            answer = await self._converse(pack_task(task))
            _raise_refusal(answer)
            if self._memory is None:
                raise EOFError
            size_px = int(task.preprocess["size_px"])
            count = size_px * size_px * 3
            square = np.frombuffer(self._memory[:count], dtype=np.uint8)
            return square.reshape(size_px, size_px, 3)
        raise await self._death(deaths)

    async def facts(self, size_bytes: int) -> ImageFacts:
        """Return what else was learnt about the image whose pixels were returned last.

        Raises:
            ImageUnreadable, ImageTooLarge, ProcessDied: as for `pixels`.
        """
        with self._deaths() as deaths:
            answer = await self._answer()
            _raise_refusal(answer)
            return _read_facts(answer, size_bytes)
        raise await self._death(deaths)

    async def stop(self) -> None:
        """End the process, whatever it is doing, and free its memory."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _spawn(self, connection: int, shared: int) -> subprocess.Popen[bytes]:
        options = self._options
        settings = {
            "limits": asdict(options.limits),
            "memory_bytes": options.memory_bytes + self._shared_bytes,
            "free_pixels": options.free_pixels,
            "nice": options.nice,
            "shared_bytes": self._shared_bytes,
        }
        command = [sys.executable, "-m", "embedder_service.decode.child"]
        command += [str(connection), str(shared), json.dumps(settings)]
        # A bare environment: no secrets beside hostile files, and one thread of
        # each numeric library, whose stacks would count against the memory.
        environment = {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            # Freed pictures go back to the system instead of staying in arenas.
            "MALLOC_ARENA_MAX": "1",
        }
        return subprocess.Popen(
            command, pass_fds=(connection, shared), env=environment, stdin=subprocess.DEVNULL
        )

    async def _write(self, data: bytes) -> None:
        if len(data) <= _COPY_ON_LOOP_BYTES:
            self._copy(data)
        else:
            await asyncio.to_thread(self._copy, data)

    def _copy(self, data: bytes) -> None:
        if self._memory is not None:
            self._memory[: len(data)] = data

    async def _converse(self, request: bytes) -> dict[str, Any]:
        """Send, wait for leave to decode if it is asked for, return the answer."""
        answer = await self._exchange(request)
        if "ask_pixels" not in answer:
            return answer
        pixels = min(int(answer["ask_pixels"]), self._options.limits.max_image_pixels)
        asked_s = time.monotonic()
        async with self._lease(pixels):
            # The time that others took is not the image's own.
            self._until_s += time.monotonic() - asked_s
            return await self._exchange(pack({"go": True}))

    async def _exchange(self, request: bytes) -> dict[str, Any]:
        if self._line is None:
            raise EOFError
        self._line.send(request)
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        """Return the next message, as long as the image has time left."""
        if self._line is None:
            raise EOFError
        return await self._line.receive(max(self._until_s - time.monotonic(), 0.0))

    @contextlib.contextmanager
    def _deaths(self) -> Iterator[list[Exception]]:
        """Collect what says that the process is gone or talks nonsense."""
        seen: list[Exception] = []
        try:
            yield seen
        except (OSError, EOFError, BrokenMessage, ValueError, TypeError, KeyError) as error:
            seen.append(error)

    async def _death(self, seen: list[Exception]) -> ProcessDied:
        """Return how the process died: by the clock, by its CPU timer, or otherwise."""
        if isinstance(seen[0], TimeoutError):
            died = ProcessDied(_starved(), "clock")
        else:
            died = self._judge(await self._exit_code())
        died.__cause__ = seen[0]
        return died

    def _judge(self, exit_code: int | None) -> ProcessDied:
        if exit_code == -signal.SIGPROF:
            return ProcessDied(_too_slow(self._options.timeout_ms), "timeout")
        if exit_code in _FROM_OUTSIDE:
            return ProcessDied(_ended(), "killed")
        return ProcessDied(_crashed(), "crash")

    async def _exit_code(self) -> int | None:
        """Return how the process ended, None while it runs."""
        if self._process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return await asyncio.to_thread(self._process.wait, 1.0)
        return None


# Signals that no decoder raises: an operator's, or the system's when it is out of memory.
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP)


def _raise_refusal(answer: dict[str, Any]) -> None:
    if "reason" in answer:
        error = _image_error(str(answer["reason"]), str(answer["message"]))
        if answer["spent"]:
            raise ProcessDied(error, "memory")
        raise error


def _read_facts(answer: dict[str, Any], size_bytes: int) -> ImageFacts:
    return ImageFacts(
        width_px=int(answer["width_px"]),
        height_px=int(answer["height_px"]),
        size_bytes=size_bytes,
        sha256=bytes.fromhex(answer["sha256"]),
        perceptual_hash=int(answer["perceptual_hash"]),
        sharpness=float(answer["sharpness"]),
        format=str(answer["format"]),
        thumbnail_webp=base64.b64decode(answer.get("thumbnail", "")),
        truncated=bool(answer["truncated"]),
        blank=bool(answer["blank"]),
        pixel_sha256=bytes.fromhex(answer["pixel_sha256"]),
        grey_webp=base64.b64decode(answer["grey"]),
        pdq_hash=bytes.fromhex(answer["pdq"]),
        pdq_quality=answer["pdq_quality"],
    )


def _image_error(reason: str, message: str) -> LookalikeError:
    kind = ImageTooLarge if reason == Reason.IMAGE_TOO_LARGE.name else ImageUnreadable
    return kind(message)


def _crashed() -> LookalikeError:
    return ImageUnreadable("the image file is damaged: decoding it failed")


def _too_slow(timeout_ms: int) -> LookalikeError:
    return ImageTooLarge(
        f"the image takes more than {timeout_ms} ms of CPU time to decode "
        "(the embedder's setting decode_timeout_ms): send a smaller or plainer copy"
    )


def _starved() -> LookalikeError:
    return Exhausted("the machine is too busy to decode the image now", retry_delay_s=5.0)


def _ended() -> LookalikeError:
    """Return a fault, which is tried again, but not for ever."""
    return LookalikeError("the process that decoded the image was ended", reason=Reason.INTERNAL)
