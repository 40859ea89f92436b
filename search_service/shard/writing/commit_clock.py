"""How long commits take to be on the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class CommitClock:
    """Written by the writer's thread, read by any."""

    commits: int = 0
    fsync_s: float = 0.0

    def time(self, commit: Callable[[], object]) -> None:
        """Make a commit; count it, and what it took."""
        began_s = time.monotonic()
        commit()
        self.fsync_s += time.monotonic() - began_s
        self.commits += 1
