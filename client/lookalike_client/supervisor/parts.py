"""Which processes make a system, and how each is told about the others."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lookalike.wire.channel import ChannelOptions, sync_channel
from lookalike_client.supervisor import redis_probe, redis_server
from lookalike_client.supervisor.child import ChildSpec
from lookalike_client.supervisor.page import page_link, page_port, page_spec, page_token
from lookalike_client.supervisor.ports import ReservedPort
from lookalike_client.supervisor.system import Addresses

# Longer than the grace that the services give calls under way (10 s, worker 20 s).
_SERVICE_GRACE_S = 20.0
_WORKER_GRACE_S = 30.0
# For a server that is being started beside us.
_REDIS_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What to run. Port 0 takes a free one; `redis_url` names a server that runs already.

    `model_cache` holds converted models; None keeps them under `data`.
    """

    data: Path
    search_port: int = 50051
    embedder_port: int = 0
    redis_port: int = 0
    redis_url: str | None = field(default=None, repr=False)
    model: str = "efficientnet-lite2"
    precision: str = "f32"
    workers: int = 1
    model_cache: Path | None = None
    # The page's; None for none.
    web_port: int | None = None


@dataclass(frozen=True, slots=True)
class System:
    """Addresses and processes, in the order in which they start.

    `page` is the link that opens the page, with its token; "" without one.
    """

    addresses: Addresses
    specs: tuple[ChildSpec, ...]
    page: str = field(default="", repr=False)


def plan(options: UpOptions, stack: ExitStack) -> System:
    """Reserve ports on `stack` and say what to run.

    Raises:
        StartError: a port is in use, there is no Redis server, or it does not let us in.
    """
    search = _reserve(stack, options.search_port, "--search-port")
    embedder = _reserve(stack, options.embedder_port, "--embedder-port")
    specs: list[ChildSpec] = []
    if options.redis_url is None:
        redis = _reserve(stack, options.redis_port, "--redis-port")
        specs.append(_redis(options, redis))
        redis_url, redis_address = f"redis://{redis.address}/0", redis.address
    else:
        redis_url = options.redis_url
        redis_address = redis_probe.check(redis_url, wait_s=_REDIS_WAIT_S)
    specs.append(_embedder(options, embedder, stack))
    specs.append(_search(options, search, embedder.address, redis_url, stack))
    specs.extend(
        _worker(options, number, search.address, embedder.address, redis_url)
        for number in range(1, options.workers + 1)
    )
    page = ""
    if options.web_port is not None:
        web = page_port(options.web_port)
        stack.callback(web.release)
        token = page_token(options.data)
        specs.append(page_spec(web, search.address, token))
        page = page_link(web.address, token)
    addresses = Addresses(search.address, embedder.address, redis_address)
    return System(addresses, tuple(specs), page)


def _redis(options: UpOptions, port: ReservedPort) -> ChildSpec:
    binary = redis_server.find_binary()
    config = redis_server.write_config(options.data / "redis", port.number)
    return ChildSpec(
        name="redis",
        command=[str(binary), str(config)],
        ready=lambda: redis_server.answers(port.number),
    )


def _embedder(options: UpOptions, port: ReservedPort, stack: ExitStack) -> ChildSpec:
    command = [
        *(sys.executable, "-m", "embedder_service"),
        *("--port", str(port.number)),
        *("--models", options.model),
        *("--precision", options.precision),
        *("--cache-dir", str(options.model_cache or options.data / "model-cache")),
    ]
    return ChildSpec(
        name="embedder",
        command=command,
        ready=_health_check(port.address, stack),
        grace_s=_SERVICE_GRACE_S,
    )


def _search(
    options: UpOptions, port: ReservedPort, embedder: str, redis_url: str, stack: ExitStack
) -> ChildSpec:
    command = [
        *(sys.executable, "-m", "search_service"),
        *("--port", str(port.number)),
        *("--data", str(options.data / "search")),
        *("--embedders", embedder),
    ]
    return ChildSpec(
        name="search",
        command=command,
        ready=_health_check(port.address, stack),
        after=("redis", "embedder"),
        # Not on the command line, which everybody can read: it may hold a password.
        environment={"LOOKALIKE_SEARCH_REDIS": redis_url},
        grace_s=_SERVICE_GRACE_S,
    )


def _worker(
    options: UpOptions, number: int, search: str, embedder: str, redis_url: str
) -> ChildSpec:
    name = "worker" if options.workers == 1 else f"worker-{number}"
    # Unique among all that share the server: a worker that comes back under its
    # name takes up what it had.
    port = search.rsplit(":", 1)[1]
    command = [
        *(sys.executable, "-m", "embedder_service.worker"),
        *("--name", f"{socket.gethostname()}-{port}-{number}"),
        *("--search", search),
        *("--embedder", embedder),
        *("--startup-wait-s", str(_REDIS_WAIT_S)),
    ]
    return ChildSpec(
        name=name,
        command=command,
        after=("redis", "embedder", "search"),
        environment={"LOOKALIKE_WORKER_REDIS": redis_url},
        grace_s=_WORKER_GRACE_S,
    )


def _reserve(stack: ExitStack, number: int, option: str) -> ReservedPort:
    port = ReservedPort.reserve(number, option)
    stack.callback(port.release)
    return port


def _health_check(address: str, stack: ExitStack) -> Callable[[], bool]:
    """Return whether the server at `address` says SERVING, as a function."""
    channel = stack.enter_context(sync_channel(address, ChannelOptions()))
    stub = health_pb2_grpc.HealthStub(channel)

    def serving() -> bool:
        try:
            response = stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.RpcError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    return serving
