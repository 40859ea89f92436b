"""`python -m search_service`: wires the service, runs it, ends it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import CollectorRegistry
from threadpoolctl import threadpool_limits

from lookalike.serving import logs, metrics, signals
from lookalike.serving.metrics import CallMetrics
from lookalike.serving.server import Server, ServerOptions
from lookalike.serving.settings.reading import SettingsInvalid, refuse
from lookalike.serving.tracing import traced
from lookalike.v1 import (
    analysis_pb2_grpc,
    bank_pb2_grpc,
    cluster_pb2_grpc,
    collection_pb2_grpc,
    ingest_pb2_grpc,
    reembedding_pb2_grpc,
    search_pb2_grpc,
    snapshot_pb2_grpc,
)
from lookalike.wire.errors import LookalikeError
from lookalike.wire.keys import Tenant
from lookalike.wire.private_files import keep_from_others
from search_service.access.gate import Gate
from search_service.analysis.analyses import Analyses
from search_service.banks.bank import Banks
from search_service.catalog.catalog import Catalog
from search_service.catalog.data_lock import DataDirectoryInUse
from search_service.catalog.names import NamesDamaged
from search_service.catalog.shards import Shards
from search_service.cluster.catalog import ClusterCatalog
from search_service.cluster.placing import Placement, RayMissing
from search_service.compiled.warm import warm_up
from search_service.domain.collection import ShardStats
from search_service.drift.watcher import DriftWatcher
from search_service.embedders import Embedders
from search_service.handover import Handover
from search_service.ingest.front_door import FrontDoor
from search_service.ingest.ledger import Ledger
from search_service.ingest.metrics import IngestMetrics
from search_service.lifetime import each, end, spare_collector
from search_service.metrics import DataDirectory, SearchMetrics, ShardCollector, read_stats
from search_service.offload import Offload
from search_service.priority import lower_priority
from search_service.reembedding.pairs import FILE as PAIRS_FILE
from search_service.reembedding.pairs import Pairs
from search_service.reembedding.reembeddings import Reembeddings
from search_service.reembedding.settling import Settling
from search_service.sampler import RecallSampler
from search_service.servicers import (
    analysis,
    cluster,
    collections,
    ingest,
    matching,
    reembedding,
    search,
    snapshots,
)
from search_service.servicers.by_filter import ByFilter
from search_service.servicers.matches import Matches
from search_service.servicers.queries import Queries
from search_service.servicers.reads import Reads
from search_service.servicers.unsupported import refusals
from search_service.servicers.writes import Writes
from search_service.settings import PROCESS, Settings, load
from search_service.snapshots.library import Snapshots

_log = logging.getLogger("search_service")

_EXIT_STORE_FAILED = 3
# How long a thread may keep the interpreter while others wait for it. The default of
# 5 ms is what a search may lose whenever it comes back from an index call to a busy loop.
_SWITCH_INTERVAL_S = 0.001
# Long enough for callers to be told, well within the second that is promised.
_FATAL_DELAY_S = 0.2
_REFUSED = (SettingsInvalid, DataDirectoryInUse, NamesDamaged, RayMissing, OSError, LookalikeError)


def main() -> int:
    """Run the service; return the exit code."""
    try:
        settings = load(sys.argv[1:])
        logs.configure(settings.log_level, json=settings.log_json)
        keep_from_others()
        settings.data.mkdir(parents=True, exist_ok=True)
    except SettingsInvalid as error:
        return refuse(PROCESS, error)
    except OSError as error:
        why = f"--data: the data directory cannot be used: {error.strerror}"
        return refuse(PROCESS, SettingsInvalid(why))
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # A shard shares its scans among threads of its own (search_service/shard/search/scan_pool.py).
    threadpool_limits(limits=1, user_api="blas")
    try:
        with traced("search", settings):
            asyncio.run(_serve(settings))
    except _REFUSED as error:
        return refuse(PROCESS, error)
    return 0


async def _serve(settings: Settings) -> None:
    stop = signals.stop_event()
    async with service(settings) as (server, drain, port):
        # The supervisor and tests read this line.
        print(json.dumps({"event": "serving", "port": port}), flush=True)  # noqa: T201
        await stop.wait()
        # A worker's stream never ends by itself: it must not use up the grace.
        drain()
        await server.stop()


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[tuple[Server, Callable[[], None], int]]:
    """Yield the serving server, what ends its endless streams, and its port; everything
    is ended on the way out."""
    registry = CollectorRegistry()
    search_metrics = SearchMetrics(registry)
    catalog = _catalog(settings)
    async with AsyncExitStack() as stack:
        pairs = Pairs(settings.data / PAIRS_FILE, catalog)
        catalog.before_ready = pairs.open
        asks_keys = settings.keys_file is not None
        gate = Gate(catalog, pairs.check_alone, pairs.check_may_reject, asks_keys=asks_keys)
        embedders = Embedders(settings.embedders, settings.embedder_channel())
        stack.push_async_callback(embedders.close)
        sampler = RecallSampler(settings.recall_sample_share, search_metrics)
        watcher = DriftWatcher(
            catalog,
            search_metrics,
            share=settings.drift_sample_share,
            mean_queries=settings.drift_mean_queries,
        )
        reads = Offload("reads", threads=4, max_waiting=256)
        slow = Offload("slow", threads=4, max_waiting=64)
        stack.push_async_callback(asyncio.to_thread, slow.close)
        stack.push_async_callback(asyncio.to_thread, reads.close)
        door = _front_door(settings, catalog, registry, pairs, lambda: server.tenants())  # noqa: PLW0108 - it is made later
        server = _server(settings, registry, gate, door)
        if door is not None and settings.ingest is not None:
            bound = settings.ingest.max_image_bytes
            reembeddings = Reembeddings(catalog, pairs, door.copies, max_image_bytes=bound)
            reembedding_pb2_grpc.add_ReembeddingServiceServicer_to_server(
                reembedding.ReembeddingServicer(gate, reembeddings), server.grpc
            )
        writes = Writes(gate, search_metrics)
        by_filter = ByFilter(gate, reads, search_metrics)
        handover = Handover(asyncio.get_running_loop())
        queries = Queries(gate, embedders, reads, search_metrics, sampler, watcher, handover)
        search_pb2_grpc.add_SearchServiceServicer_to_server(
            search.SearchServicer(queries, Reads(gate, reads), writes, by_filter), server.grpc
        )
        collection_pb2_grpc.add_CollectionServiceServicer_to_server(
            collections.CollectionServicer(gate, embedders, slow, search_metrics), server.grpc
        )
        banks = Banks(catalog)
        # Threads of its own: the first use of a bank reads the hashes of all its items.
        looks = Offload("banks", threads=4, max_waiting=512)
        stack.push_async_callback(asyncio.to_thread, looks.close)
        matches = Matches(catalog, banks, embedders, looks, handover, search_metrics)
        if isinstance(catalog, ClusterCatalog):
            cluster_pb2_grpc.add_ClusterServiceServicer_to_server(
                cluster.ClusterServicer(gate, catalog, slow), server.grpc
            )
            server.grpc.add_generic_rpc_handlers(refusals())
        kept = Snapshots(settings.data, catalog)
        # Few threads: a snapshot reads and writes gigabytes, slowly on purpose.
        jobs = Offload("snapshots", threads=3, max_waiting=8, prepare=lower_priority)
        stack.push_async_callback(asyncio.to_thread, jobs.close)
        analyses = Analyses(settings.data, catalog, threads=settings.build_threads)
        if settings.cluster is None:
            snapshot_pb2_grpc.add_SnapshotServiceServicer_to_server(
                snapshots.SnapshotServicer(gate, kept, jobs, slow), server.grpc
            )
            bank_pb2_grpc.add_MatchServiceServicer_to_server(
                matching.MatchServicer(catalog, banks, matches, looks), server.grpc
            )
            analysis_pb2_grpc.add_AnalysisServiceServicer_to_server(
                analysis.AnalysisServicer(gate, analyses, watcher, reads), server.grpc
            )
        if settings.metrics_port is not None:
            registry.register(ShardCollector(lambda: _stats(catalog), lambda: _lost(catalog)))
            registry.register(DataDirectory(settings.data, settings.unindexed_limit))
            endpoint = metrics.serve(registry, settings.metrics_host, settings.metrics_port)
            stack.callback(endpoint.close)
            _log.info("metrics", extra={"port": endpoint.port})
        port = await server.start()
        stack.push_async_callback(server.grpc.stop, 0)  # when the start fails half-way
        stack.push_async_callback(asyncio.to_thread, catalog.close)
        await each(warm_up, catalog.open)
        await asyncio.to_thread(kept.open)
        stack.callback(kept.close)
        await asyncio.to_thread(analyses.open)
        stack.push_async_callback(analyses.close)
        if door is not None:
            stack.push_async_callback(door.close)
            await door.start()
            settling = Settling(catalog, pairs, server.tenant_fields)
            stack.push_async_callback(end, asyncio.create_task(settling.run(), name="settling"))
        stack.push_async_callback(end, asyncio.create_task(sampler.run(), name="recall-sampler"))
        stack.push_async_callback(asyncio.to_thread, watcher.close)
        stack.push_async_callback(end, asyncio.create_task(watcher.run(), name="drift-watcher"))
        spare_collector()
        await server.set_serving(True)

        def drain() -> None:
            writes.drain()
            by_filter.drain()
            if door is not None:
                door.drain()

        yield server, drain, port


def _catalog(settings: Settings) -> Catalog:
    options = settings.shard_options()
    if settings.cluster is None:
        return Catalog(settings.data, Shards(options, _on_fatal))
    placing = Placement(settings.cluster, options)
    return ClusterCatalog(settings.data, settings.cluster, options, placing)


def _server(
    settings: Settings, registry: CollectorRegistry, gate: Gate, door: FrontDoor | None
) -> Server:
    options = ServerOptions(
        host=settings.host,
        port=settings.port,
        max_concurrent_rpcs=settings.max_concurrent_rpcs,
        tls=settings.tls,
        keys_file=settings.keys_file,
        reflection=settings.reflection,
        grace_s=settings.grace_s,
        max_connection_age_s=settings.max_connection_age_s,
        health_host=settings.health_host,
        health_port=settings.health_port,
    )
    names = [
        search.SERVICE_NAME,
        collections.SERVICE_NAME,
        snapshots.SERVICE_NAME,
        analysis.SERVICE_NAME,
        *([] if settings.cluster is None else [cluster.SERVICE_NAME]),
        matching.SERVICE_NAME,
    ]
    if door is None:
        return Server(options, names, CallMetrics(registry))
    names += [ingest.SERVICE_NAME, reembedding.SERVICE_NAME]
    server = Server(options, names, CallMetrics(registry))
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(
        ingest.IngestServicer(gate, door), server.grpc
    )
    return server


def _front_door(
    settings: Settings,
    catalog: Catalog,
    registry: CollectorRegistry,
    pairs: Pairs,
    tenants: Callable[[], frozenset[Tenant]],
) -> FrontDoor | None:
    if settings.ingest is None:
        return None
    ledger, counts = Ledger(str(settings.ledger)), IngestMetrics(registry)
    return FrontDoor(settings.ingest, catalog, counts, ledger, pairs, tenants)


def _stats(catalog: Catalog) -> Iterator[tuple[str, ShardStats]]:
    return read_stats(
        (each.name, each.shard.stats) for each in catalog.collections() if each.is_open
    )


def _lost(catalog: Catalog) -> list[str]:
    return [collection.name for collection in catalog.collections() if collection.damage]


def _on_fatal() -> None:
    """End the process: a store that failed to write must be replayed from the disk."""
    _log.critical("a store failed to write; the service stops and must be started again")
    # Not sys.exit: that ends the calling thread only, and no orderly end may wait
    # for a store that has failed.
    threading.Timer(_FATAL_DELAY_S, os._exit, (_EXIT_STORE_FAILED,)).start()


if __name__ == "__main__":
    sys.exit(main())
