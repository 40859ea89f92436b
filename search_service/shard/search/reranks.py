"""How long a search compared candidates exactly, out of all that it did.

A scan of a compact form compares the nearest exactly as it goes along, and is not timed here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RerankTimes:
    """Seconds of each piece of work, added from any thread; `threads` share it."""

    threads: int
    pieces: list[float] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add what the block takes."""
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self.pieces.append(time.perf_counter() - began_s)

    def elapsed_s(self) -> float:
        """Return about how long the work took: so many pieces were worked on at a time."""
        return sum(self.pieces) / max(1, min(self.threads, len(self.pieces)))
