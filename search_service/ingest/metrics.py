"""Metrics of the front door."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class IngestMetrics:
    """The queue as it was looked at last, and what was submitted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.submissions = Counter(
            "lookalike_ingest_submissions",
            "Mutations that were submitted, by kind and outcome (accepted or refused)",
            ["kind", "outcome"],
            registry=registry,
        )
        self.reachable = Gauge(
            "lookalike_ingest_queue_reachable",
            "1 when the queue answered last",
            registry=registry,
        )
        self.depth = Gauge(
            "lookalike_ingest_queue_depth", "Mutations in the queue", registry=registry
        )
        self.lag = Gauge(
            "lookalike_ingest_queue_lag",
            "Mutations that no worker has taken; NaN when unknown",
            registry=registry,
        )
        self.pending = Gauge(
            "lookalike_ingest_queue_pending",
            "Mutations that a worker has taken and not finished",
            registry=registry,
        )
        self.queue_bytes = Gauge(
            "lookalike_ingest_queue_bytes", "Counted bytes in the queue", registry=registry
        )
        self.oldest_age = Gauge(
            "lookalike_ingest_oldest_age_seconds",
            "Age of the oldest unfinished mutation; 0 when there is none",
            registry=registry,
        )
        self.lost = Counter(
            "lookalike_ingest_lost",
            "Accepted mutations that the queue's server lost before they had ended",
            registry=registry,
        )
        self.at_risk = Gauge(
            "lookalike_ingest_queue_at_risk",
            "1 while the queue's server may lose what was accepted, by risk (eviction or "
            "persistence)",
            ["risk"],
            registry=registry,
        )
        self.failures = Gauge(
            "lookalike_ingest_failures", "Mutations in the dead-letter list", registry=registry
        )
