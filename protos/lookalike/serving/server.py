"""A gRPC server's life: start, health, drain, stop."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from lookalike.serving import expiry
from lookalike.serving.access.interceptor import AccessInterceptor
from lookalike.serving.access.key_store import KeyStore
from lookalike.serving.health import Health, health_address
from lookalike.serving.interceptors import CallInterceptor
from lookalike.serving.metrics import CallMetrics
from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.serving.tls import server_credentials
from lookalike.serving.traced_calls import TracedCalls
from lookalike.wire.channel import LEAST_PING_INTERVAL_MS, MAX_MESSAGE_BYTES, TlsFiles
from lookalike.wire.keys import Tenant
from lookalike.wire.traces import spans

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to serve.

    `port` 0 takes a free one. `max_concurrent_rpcs` bounds the calls under way,
    streams included; one more gets RESOURCE_EXHAUSTED. `grace_s` is the time that
    calls under way are given when the server stops. A client that pings more often
    than `least_ping_interval_ms` is disconnected. A connection older than
    `max_connection_age_s` is closed once its calls have ended, so that clients look for
    servers anew; 0 for no bound. Without `keys_file` nobody is asked for an API key.
    `health_port` answers health checks alone, without TLS.
    """

    host: str = "127.0.0.1"
    port: int = 0
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_concurrent_rpcs: int = 1024
    tls: TlsFiles | None = None
    keys_file: Path | None = None
    reflection: bool = False
    grace_s: float = 10.0
    least_ping_interval_ms: int = LEAST_PING_INTERVAL_MS
    max_connection_age_s: float = 0.0
    health_host: str = "127.0.0.1"
    health_port: int | None = None


class Server:
    """One gRPC server with health, error mapping and an orderly end."""

    def __init__(
        self,
        options: ServerOptions,
        service_names: Sequence[str],
        metrics: CallMetrics | None = None,
    ) -> None:
        """Raises:
        InvalidField: the file of keys cannot be read, or has another form.
        """
        self._options = options
        self._health = Health(service_names, health_address(options))
        self.health_port: int | None = None
        calls = CallInterceptor(options.max_concurrent_rpcs, metrics)
        interceptors: list[grpc.aio.ServerInterceptor] = [calls]
        store = None if options.keys_file is None else KeyStore(options.keys_file)
        self._keys = store
        if store is not None:
            interceptors.insert(0, AccessInterceptor(store, calls.refused))
        if metrics is not None:
            chain = [] if options.tls is None else [options.tls.certificate, options.tls.ca]
            files = [path for path in chain if path is not None]
            expiry.watch(metrics.registry, files, lambda: () if store is None else store.records())
        self.grpc = grpc.aio.server(
            interceptors=[*_tracing(), *interceptors],
            options=server_arguments(options),
        )
        self._health.add_to(self.grpc)
        if options.reflection:
            names = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self.grpc)

    def tenants(self) -> frozenset[Tenant]:
        """Return what API keys are bound to; from any thread."""
        records = [] if self._keys is None else self._keys.records()
        return frozenset(record.tenant for record in records if record.tenant)

    def tenant_fields(self) -> frozenset[tuple[str, ...]]:
        """Return the paths of metadata that API keys are bound to; from any thread."""
        return frozenset(path for tenant in self.tenants() for path, _ in tenant)

    async def start(self) -> int:
        """Bind and start; every service is NOT_SERVING. Return the port.

        Raises:
            SettingsInvalid: an address or the certificate cannot be used.
        """
        self.health_port = await self._health.start()
        options = self._options
        port = _bound(self._add_port, options.host, options.port, "--port")
        await self.grpc.start()
        _log.info("listening", extra={"address": f"{self._options.host}:{port}"})
        self._warn()
        return port

    async def set_serving(self, serving: bool, service: str | None = None) -> None:
        """Set the health of `service`, or of all and of the server as a whole."""
        await self._health.set_serving(serving, service)

    async def stop(self) -> None:
        """Drain and end; calls still under way after the grace are cancelled."""
        await self.set_serving(False)
        await self.grpc.stop(self._options.grace_s)
        await self._health.stop()
        _log.info("stopped")

    def _warn(self) -> None:
        """Say what is left open."""
        options = self._options
        if options.keys_file is None:
            _log.warning(
                "no API keys are asked for: whoever reaches this address can read, change and "
                "delete everything; `lookalike keys make` makes keys, --keys-file asks for them",
                extra={"host": options.host},
            )
        elif options.tls is None and not is_loopback(options.host):
            _log.warning(
                "API keys travel in the clear: set --tls-certificate and --tls-key",
                extra={"host": options.host},
            )

    def _add_port(self, address: str) -> int:
        tls = self._options.tls
        if tls is None:
            return self.grpc.add_insecure_port(address)
        return self.grpc.add_secure_port(address, server_credentials(tls))


def _bound(add: Callable[[str], int], host: str, number: int, option: str) -> int:
    """Bind a port by `add` and return it.

    Raises:
        SettingsInvalid: the address cannot be bound.
    """
    address = f"{host}:{number}"
    try:
        return add(address)
    except RuntimeError as error:
        raise SettingsInvalid(
            f"cannot listen on {address}: is the port in use? Set another --host or {option}"
        ) from error


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches what listens on `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith("unix:")


def _tracing() -> list[TracedCalls]:
    tracer = spans.installed()
    return [] if tracer is None else [TracedCalls(tracer)]


def server_arguments(options: ServerOptions) -> list[tuple[str, int]]:
    """Return the arguments of a server, for the gRPC library."""
    arguments = [
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.so_reuseport", 0),
        # Also without a call: the library's clients ping as `lookalike.wire.channel` says.
        ("grpc.http2.min_ping_interval_without_data_ms", options.least_ping_interval_ms),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    if options.max_connection_age_s:
        # The library spreads it by a tenth, so that not all come back at once.
        age_ms = int(options.max_connection_age_s * 1000)
        arguments.append(("grpc.max_connection_age_ms", age_ms))
    return arguments
