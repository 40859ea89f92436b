"""What the worker did over the last minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_WINDOW_S = 60


@dataclass(slots=True)
class _Second:
    second: int
    finished: int = 0
    sums_s: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Stats:
    """Counts since the start, and rates and stage times over a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self._seconds: deque[_Second] = deque()
        self.finished = 0
        self.failed = 0

    def count_finished(self) -> None:
        """Count a mutation that came to its end."""
        self.finished += 1
        self._now().finished += 1

    def count_failed(self) -> None:
        """Count a mutation that was given up."""
        self.failed += 1

    def add_time(self, stage: str, seconds: float) -> None:
        """Add the time of one stage: "queue", "embed" or "store"."""
        now = self._now()
        now.sums_s[stage] = now.sums_s.get(stage, 0.0) + seconds
        now.counts[stage] = now.counts.get(stage, 0) + 1

    def state(self) -> dict[str, str]:
        """Return the fields of a sign of life."""
        self._now()
        span_s = min(_WINDOW_S, max(1.0, self._clock() - self._start_s))
        fields = {
            "finished": str(self.finished),
            "failed": str(self.failed),
            "rate_per_second": f"{sum(s.finished for s in self._seconds) / span_s:.3f}",
        }
        for stage in ("queue", "embed", "store"):
            count = sum(s.counts.get(stage, 0) for s in self._seconds)
            if count:
                total_s = sum(s.sums_s.get(stage, 0.0) for s in self._seconds)
                fields[f"stage:{stage}"] = f"{total_s / count:.6f}"
        return fields

    def _now(self) -> _Second:
        second = int(self._clock())
        while self._seconds and self._seconds[0].second <= second - _WINDOW_S:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1].second != second:
            self._seconds.append(_Second(second))
        return self._seconds[-1]
