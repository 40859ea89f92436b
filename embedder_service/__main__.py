"""The embedder: `python -m embedder_service`.

When it serves, it prints one line: {"event": "serving", "port": N}.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from embedder_service import heap
from embedder_service.embedder import Embedder
from embedder_service.models.definition import ModelError
from embedder_service.runtimes.protocol import RuntimeUnsupported
from embedder_service.servicer import EmbedderServicer
from embedder_service.settings import PROCESS, Settings, load
from embedder_service.wiring import build_embedder, server_options
from lookalike.serving import metrics
from lookalike.serving.logs import configure
from lookalike.serving.server import Server
from lookalike.serving.settings.reading import SettingsInvalid, refuse
from lookalike.serving.signals import stop_event
from lookalike.v1 import embedder_pb2, embedder_pb2_grpc
from lookalike.wire.errors import InvalidField

# A thread that comes back from the network or the socket waits at most this long for
# the event loop to let go of the interpreter; Python's own 5 ms are a sixth of a batch.
_SWITCH_INTERVAL_S = 0.0005

SERVICE = embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"].full_name


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM; 2 for settings that cannot be used here, 1 for a failed start."""
    try:
        settings = load(arguments)
    except SettingsInvalid as error:
        return refuse(PROCESS, error)
    configure(settings.log_level, json=settings.log_json)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    heap.bound_arenas()
    try:
        asyncio.run(_serve(settings))
    except (SettingsInvalid, InvalidField, RuntimeUnsupported, ModelError) as error:
        return refuse(PROCESS, error)
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    stop = stop_event()
    registry = CollectorRegistry()
    health = asyncio.Event()
    embedder = build_embedder(settings, registry, lambda _healthy: health.set())
    server = Server(server_options(settings), [SERVICE], metrics.CallMetrics(registry))
    servicer = EmbedderServicer(embedder, max_stream_in_flight=settings.max_stream_in_flight)
    embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(servicer, server.grpc)
    endpoint = None
    if settings.metrics_port is not None:
        endpoint = metrics.serve(registry, settings.metrics_host, settings.metrics_port)
    try:
        port = await server.start()
        if await _started(embedder, stop):
            # What is loaded by now stays: collections need not look through it again and again.
            gc.collect()
            gc.freeze()
            await server.set_serving(True)
            _announce(port, endpoint.port if endpoint else None)
            trimmer = asyncio.create_task(heap.keep_trimmed())
            follower = asyncio.create_task(_follow(embedder, server, health))
            await stop.wait()
            follower.cancel()
            trimmer.cancel()
    finally:
        await server.stop()
        await embedder.close()
        if endpoint is not None:
            endpoint.close()


async def _started(embedder: Embedder, stop: asyncio.Event) -> bool:
    """Start `embedder`; give up, returning False, when asked to stop meanwhile."""
    starting = asyncio.create_task(embedder.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return False
    starting.result()
    return True


async def _follow(embedder: Embedder, server: Server, health: asyncio.Event) -> None:
    """Keep the health service in step with the runners."""
    while True:
        await health.wait()
        health.clear()
        await server.set_serving(embedder.healthy)


def _announce(port: int, metrics_port: int | None) -> None:
    line: dict[str, object] = {"event": "serving", "port": port}
    if metrics_port is not None:
        line["metrics_port"] = metrics_port
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
