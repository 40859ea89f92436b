"""What the search service measures about itself."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from lookalike.serving.metrics import observe
from lookalike.wire.errors import LookalikeError
from search_service.domain.collection import ShardStats
from search_service.domain.queries import PlanKind, QueryOutcome

_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_GATHERED = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# The published recall is the mean over so many of the newest samples.
_RECALL_WINDOW = 200

# Yields pairs of collection name and stats.
StatsSource = Callable[[], Iterable[tuple[str, ShardStats]]]


class SearchMetrics:
    """Queries by plan, their times and gathering, mutations, live recall."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queries = Counter(
            "lookalike_queries", "Answered queries", ["plan"], registry=registry
        )
        self._gathered = Histogram(
            "lookalike_query_gathered",
            "Queries that shared an index call",
            buckets=_GATHERED,
            registry=registry,
        )
        stages = Histogram(
            "lookalike_query_stage_seconds",
            "Time of one stage of a query, in seconds; rerank is a part of search",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        mutations = Counter(
            "lookalike_mutations", "Mutations by outcome", ["outcome"], registry=registry
        )
        self._recall = Gauge(
            "lookalike_recall",
            "Mean share of the exact neighbours that the newest live samples returned"
            ", by the share of items that meet the filter (up to 0.1%, 1%, 10%, 50%, 100%; none: "
            "no filter)",
            ["collection", "selectivity"],
            registry=registry,
        )
        self._recall_samples = Counter(
            "lookalike_recall_samples",
            "Live queries that were answered again exactly",
            ["collection", "selectivity"],
            registry=registry,
        )
        self.recall_dropped = Counter(
            "lookalike_recall_dropped",
            "Live queries that were picked for a recall sample and dropped under load",
            registry=registry,
        )
        self._drift_raised = Gauge(
            "lookalike_drift_raised",
            "Whether queries are no longer like the reference that was learnt of them",
            ["collection"],
            registry=registry,
        )
        self._drift_evidence = Gauge(
            "lookalike_drift_evidence",
            "Evidence for a change of the queries, as a share of what raises the alarm",
            ["collection"],
            registry=registry,
        )
        self._drift_queries = Gauge(
            "lookalike_drift_queries",
            "Queries that were compared with the reference or are part of it",
            ["collection"],
            registry=registry,
        )
        self.drift_dropped = Counter(
            "lookalike_drift_dropped",
            "Queries that were not watched for drift, because too many waited",
            registry=registry,
        )
        # Children are looked up once: a lookup by label costs as much as the rest.
        self._by_plan = {kind: self._queries.labels(kind.name.lower()) for kind in PlanKind}
        self._stage = {
            name: stages.labels(name) for name in ("embed", "filter", "wait", "search", "rerank")
        }
        self._mutation_outcomes = {
            name: mutations.labels(name)
            for name in ("applied", "superseded", "not_found", "rejected_duplicate", "refused")
        }
        self._drifting: set[str] = set()
        self._recall_windows: dict[tuple[str, str], deque[float]] = {}

    def observe_queries(self, outcomes: Sequence[QueryOutcome], embed_s: float) -> None:
        """Count the queries of one request; its stages are those of the first."""
        for outcome in outcomes:
            self._by_plan[outcome.plan.kind].inc()
        plan = outcomes[0].plan
        self._gathered.observe(plan.gathered_queries)
        observe(self._stage["wait"], plan.wait_s)
        observe(self._stage["search"], plan.search_s)
        observe(self._stage["rerank"], plan.rerank_s)
        if plan.filter_s:
            observe(self._stage["filter"], plan.filter_s)
        if embed_s:
            observe(self._stage["embed"], embed_s)

    def count_mutations(self, outcome: str, count: int = 1) -> None:
        """Count mutations that were applied, superseded, … or refused."""
        self._mutation_outcomes[outcome].inc(count)

    def observe_recall(self, collection: str, selectivity: str, recall: float) -> None:
        """Add a live sample and publish the mean of the newest."""
        key = (collection, selectivity)
        window = self._recall_windows.setdefault(key, deque(maxlen=_RECALL_WINDOW))
        window.append(recall)
        self._recall.labels(*key).set(sum(window) / len(window))
        self._recall_samples.labels(*key).inc()

    def set_drift(self, collection: str, *, drifted: bool, evidence: float, queries: int) -> None:
        """Publish what is known of the drift of a collection's queries."""
        self._drifting.add(collection)
        self._drift_raised.labels(collection).set(drifted)
        self._drift_evidence.labels(collection).set(evidence)
        self._drift_queries.labels(collection).set(queries)

    def forget_collection(self, collection: str) -> None:
        """Drop the series of a collection that is gone."""
        for key in [key for key in self._recall_windows if key[0] == collection]:
            del self._recall_windows[key]
            self._recall.remove(*key)
            self._recall_samples.remove(*key)
        if collection in self._drifting:
            self._drifting.remove(collection)
            for gauge in (self._drift_raised, self._drift_evidence, self._drift_queries):
                gauge.remove(collection)


class ShardCollector(Collector):
    """Sizes and builds of every shard, read when they are asked for."""

    def __init__(self, source: StatsSource, lost: Callable[[], Iterable[str]]) -> None:
        """`lost` names the collections that damage keeps from being opened."""
        self._source = source
        self._lost = lost

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Read every shard's stats; a shard that fails is left out."""
        gauges = {
            name: GaugeMetricFamily(f"lookalike_{name}", text, labels=["collection"])
            for name, text in _GAUGES.items()
        }
        counters = {
            name: CounterMetricFamily(f"lookalike_{name}", text, labels=["collection"])
            for name, text in _COUNTERS.items()
        }
        for collection, stats in self._source():
            labels = [collection]
            for name, family in gauges.items():
                family.add_metric(labels, float(_VALUES[name](stats)))
            for name, counter in counters.items():
                counter.add_metric(labels, float(_COUNTED[name](stats)))
        for collection in self._lost():
            gauges["store_damaged"].add_metric([collection], 1.0)
        yield from gauges.values()
        yield from counters.values()


class DataDirectory(Collector):
    """How much room there is, and when writes are refused for want of graphs."""

    def __init__(self, directory: Path, unindexed_limit: int) -> None:
        self._directory = directory
        self._unindexed_limit = unindexed_limit

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look at the disk; what cannot be seen is left out."""
        yield GaugeMetricFamily(
            "lookalike_unindexed_limit",
            "Vectors in no graph past which a collection refuses writes",
            value=self._unindexed_limit,
        )
        free = GaugeMetricFamily(
            "lookalike_data_free_bytes", "Bytes that the disk of the data directory has left"
        )
        size = GaugeMetricFamily(
            "lookalike_data_size_bytes", "Bytes that the disk of the data directory has in all"
        )
        try:
            room = shutil.disk_usage(self._directory)
        except OSError:
            return
        free.add_metric([], room.free)
        size.add_metric([], room.total)
        yield free
        yield size


def read_stats(
    shards: Iterable[tuple[str, Callable[[], ShardStats]]],
) -> Iterator[tuple[str, ShardStats]]:
    """Read stats by collection name, leaving out those that cannot be read now."""
    for name, read in shards:
        try:
            stats = read()
        except (LookalikeError, OSError):
            continue  # closed, failed or deleted meanwhile: an absent series says so
        yield name, stats


_GAUGES = {
    "items": "Items that can be found",
    "head_vectors": "Live vectors in the head, which no segment holds yet",
    "unindexed_vectors": "Live vectors in no graph yet, the head's among them; all are compared",
    "graph_vectors": "Vectors in graphs, replaced and deleted ones included",
    "side_list_vectors": "Vectors that their graph does not reach",
    "segments": "Sealed segments",
    "disk_bytes": "Bytes on disk",
    "building": "Whether a build is running",
    "build_failed": "Whether the last build failed",
    "store_damaged": "Whether damage of the store on the disk was found",
}

_COUNTERS = {
    "builds": "Builds that were published",
    "build_failures": "Builds that failed",
    "build_seconds": "Time that builds took in all, failed ones included, in seconds",
    "commits": "Groups of mutations that were committed",
    "fsync_seconds": "Time that commits took to be on the disk, in all, in seconds",
}

_COUNTED: dict[str, Callable[[ShardStats], float]] = {
    "builds": lambda stats: stats.builds,
    "build_failures": lambda stats: stats.build_failures,
    "build_seconds": lambda stats: stats.build_s,
    "commits": lambda stats: stats.commits,
    "fsync_seconds": lambda stats: stats.fsync_s,
}

_VALUES: dict[str, Callable[[ShardStats], int]] = {
    "items": lambda stats: stats.items,
    "head_vectors": lambda stats: stats.head_vectors,
    "unindexed_vectors": lambda stats: stats.unindexed_vectors,
    "graph_vectors": lambda stats: stats.graph_vectors,
    "side_list_vectors": lambda stats: stats.side_list_vectors,
    "segments": lambda stats: stats.segments,
    "disk_bytes": lambda stats: stats.disk_bytes,
    "building": lambda stats: int(stats.building),
    "build_failed": lambda stats: int(bool(stats.last_build_error)),
    "store_damaged": lambda stats: int(bool(stats.store_damage)),
}
