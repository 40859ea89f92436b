"""How long single calls take, by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lookalike_client.types import SearchResult

# First calls open connections and compile loops.
_WARM_UP = 5
# A stage that no call spent so long in was none.
_LEAST_S = 1e-5


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of a stage over `calls` calls: their mean and percentiles."""

    calls: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


@dataclass(slots=True)
class Stopwatch:
    """Times calls one after another, and keeps what the service says of their stages."""

    stages: dict[str, list[float]] = field(default_factory=dict)

    def time(self, calls: Sequence[Callable[[], SearchResult]]) -> None:
        """Make all of `calls`, the first ones once more beforehand."""
        for call in calls[:_WARM_UP]:
            call()
        for call in calls:
            began_s = time.perf_counter()
            result = call()
            whole_s = time.perf_counter() - began_s
            if (plan := result.plan) is not None:
                self._add("embed", plan.embed_s)
                self._add("filter", plan.filter_s)
                self._add("wait", plan.wait_s)
                self._add("search", plan.search_s - plan.rerank_s)
                self._add("re-rank", plan.rerank_s)
            self._add("end to end", whole_s)

    def times_ms(self) -> dict[str, Times]:
        """Return the times of the stages that took any."""
        return {
            name: times_of(values) for name, values in self.stages.items() if max(values) > _LEAST_S
        }

    def _add(self, stage: str, seconds: float) -> None:
        self.stages.setdefault(stage, []).append(seconds)


def times_of(seconds: Sequence[float]) -> Times:
    """Return the mean and percentiles of at least one time, in milliseconds."""
    ms = np.asarray(seconds) * 1e3
    p50, p90, p95, p99 = (float(each) for each in np.percentile(ms, (50, 90, 95, 99)))
    return Times(len(ms), float(ms.mean()), p50, p90, p95, p99, float(ms.max()))
