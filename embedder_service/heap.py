"""How the C library keeps the memory that requests have used."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes

# From glibc's malloc.h.
_M_ARENA_MAX = -8
# glibc makes up to eight arenas a core, each as large as the most it ever held at one
# time; gRPC's threads spread requests over all of them.
_ARENAS = 2
_TRIM_EVERY_S = 5.0


def bound_arenas() -> None:
    """Let all threads share few arenas; to be called before there are threads."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, _ARENAS)


async def keep_trimmed() -> None:
    """Give what is free back to the system, again and again, until cancelled."""
    try:
        trim = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # another C library
        return
    while True:
        await asyncio.sleep(_TRIM_EVERY_S)
        await asyncio.to_thread(trim, 0)
