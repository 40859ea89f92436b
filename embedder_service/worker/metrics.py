"""Metrics of the worker."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a millisecond (an idle system) to ten minutes (a backlog).
_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)


class WorkerMetrics:
    """What went through the worker, and how long it took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.finished = Counter(
            "lookalike_worker_finished",
            "Mutations that came to their end, by kind and status",
            ["kind", "status"],
            registry=registry,
        )
        self.failed = Counter(
            "lookalike_worker_failed",
            "Mutations that were given up, by reason",
            ["reason"],
            registry=registry,
        )
        self.alone = Counter(
            "lookalike_worker_alone", "Times that an entry was tried alone", registry=registry
        )
        self.lost = Counter(
            "lookalike_worker_lost",
            "Entries that somebody trimmed away before they were finished",
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "lookalike_worker_stage_seconds",
            "Time in a stage (queue, embed or store), in seconds",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.held = Gauge(
            "lookalike_worker_held", "Entries taken and not finished", registry=registry
        )
        self.paused = Gauge(
            "lookalike_worker_paused", "1 while a service is away", registry=registry
        )
