"""What a read asks for besides what it reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """Which changes a read on a cluster sees at least, up to a position of the log; and until
    when it is worth an answer, on `time.monotonic()`."""

    position: int = 0
    deadline_s: float | None = None


ANYTIME = Reading()
