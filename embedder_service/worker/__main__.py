"""Runs a worker: `python -m embedder_service.worker --redis URL --embedder ADDR --search ADDR`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import replace

from prometheus_client import CollectorRegistry

from embedder_service.worker.clients import EmbedderClient, SearchClient
from embedder_service.worker.metrics import WorkerMetrics
from embedder_service.worker.redis_queue import RedisQueue
from embedder_service.worker.settings import PROCESS, WorkerSettings, load
from embedder_service.worker.stats import Stats
from embedder_service.worker.worker import Worker
from lookalike.serving import logs, metrics
from lookalike.serving.health import Health, health_address
from lookalike.serving.queue.connection import connect
from lookalike.serving.settings.reading import SettingsInvalid, refuse
from lookalike.serving.signals import stop_event
from lookalike.wire.channel import ChannelOptions, aio_channel
from lookalike.wire.errors import InvalidField, LookalikeError

_log = logging.getLogger(__name__)


def main() -> int:
    """Run until SIGTERM or SIGINT; 2 for settings that cannot be used, 1 for another failure."""
    try:
        settings = load(sys.argv[1:])
        logs.configure(settings.log_level, json=settings.log_json)
        return asyncio.run(_run(settings))
    except (SettingsInvalid, InvalidField) as error:
        return refuse(PROCESS, error)
    except (LookalikeError, OSError) as error:
        sys.stderr.write(f"cannot run the worker: {error}\n")
        return 1


async def _run(settings: WorkerSettings) -> int:
    stop = stop_event()
    registry = CollectorRegistry()
    endpoint = None
    if settings.metrics_port is not None:
        endpoint = metrics.serve(registry, settings.metrics_host, settings.metrics_port)
    health = Health([], health_address(settings))
    options = ChannelOptions(tls=settings.tls, token=settings.token())
    queue = RedisQueue(connect(settings, "lookalike-worker"), settings)
    # An image that the front door read by reference may be larger than a message usually
    # is. What it may be is the embedder's to say.
    embedder_channel = aio_channel(settings.embedder, replace(options, max_message_bytes=-1))
    search_channel = aio_channel(settings.search, options)
    embedder = EmbedderClient(embedder_channel, settings.embed_timeout_s)
    index = SearchClient(search_channel, settings.store_timeout_s)
    try:
        await health.start()
        embedder.start()
        index.start()
        serving = asyncio.create_task(_wait_serving(queue, embedder, index, settings))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            return 0
        serving.result()
        worker = Worker(queue, embedder, index, settings, Stats(), WorkerMetrics(registry))
        _say_serving(settings, endpoint.port if endpoint else None)
        await health.set_serving(True)
        await worker.run(stop)
        _log.info("stopped")
        return 0
    finally:
        await health.set_serving(False)
        await embedder.close()
        await index.close()
        await queue.close()
        await embedder_channel.close()
        await search_channel.close()
        await health.stop()
        if endpoint is not None:
            endpoint.close()


async def _wait_serving(
    queue: RedisQueue, embedder: EmbedderClient, index: SearchClient, settings: WorkerSettings
) -> None:
    """Wait for all three; a queue that does not suit is final, one that is away is
    waited for.

    Raises:
        Unavailable: the queue's server is too old or evicts keys, or stays away.
    """
    await queue.wait_for_server(settings.startup_wait_s)
    await embedder.wait_ready()
    await index.wait_ready()


def _say_serving(settings: WorkerSettings, metrics_port: int | None) -> None:
    event: dict[str, object] = {"event": "serving", "name": settings.name}
    if metrics_port is not None:
        event["metrics_port"] = metrics_port
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
