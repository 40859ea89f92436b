"""Together or alone: what runs at the same time as what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turnstile:
    """Many run together, or one runs alone; one that wants to run alone goes first."""

    def __init__(self) -> None:
        self._together = 0
        self._alone = False
        self._open = asyncio.Event()
        self._empty = asyncio.Event()
        self._open.set()
        self._empty.set()

    @property
    def busy(self) -> bool:
        """Whether something runs together."""
        return self._together > 0

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Run with others, when none runs or waits to run alone."""
        while self._alone:
            await self._open.wait()
        self._together += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._together -= 1
            if not self._together:
                self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Run when all others have left; for one task only."""
        self._alone = True
        self._open.clear()
        try:
            await self._empty.wait()
            yield
        finally:
            self._alone = False
            self._open.set()
