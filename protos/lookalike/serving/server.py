"""A gRPC server's life: start, health, drain, stop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from lookalike.serving.interceptors import CallInterceptor
from lookalike.serving.metrics import CallMetrics
from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.serving.traced_calls import TracedCalls
from lookalike.wire.channel import LEAST_PING_INTERVAL_MS, MAX_MESSAGE_BYTES, TlsFiles
from lookalike.wire.traces import spans

_log = logging.getLogger(__name__)

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to serve.

    `port` 0 takes a free one. `max_concurrent_rpcs` bounds the calls under way,
    streams included; one more gets RESOURCE_EXHAUSTED. `grace_s` is the time that
    calls under way are given when the server stops. A client that pings more often
    than `least_ping_interval_ms` is disconnected.
    """

    host: str = "127.0.0.1"
    port: int = 0
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_concurrent_rpcs: int = 1024
    tls: TlsFiles | None = None
    reflection: bool = False
    grace_s: float = 10.0
    least_ping_interval_ms: int = LEAST_PING_INTERVAL_MS


class Server:
    """One gRPC server with health, error mapping and an orderly end."""

    def __init__(
        self,
        options: ServerOptions,
        service_names: Sequence[str],
        metrics: CallMetrics | None = None,
    ) -> None:
        self._options = options
        self._service_names = tuple(service_names)
        self._health = health.aio.HealthServicer()
        self.grpc = grpc.aio.server(
            interceptors=[*_tracing(), CallInterceptor(options.max_concurrent_rpcs, metrics)],
            options=server_arguments(options),
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        if options.reflection:
            names = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self.grpc)

    async def start(self) -> int:
        """Bind and start; every service is NOT_SERVING. Return the port.

        Raises:
            SettingsInvalid: the address cannot be bound.
        """
        await self.set_serving(False)
        address = f"{self._options.host}:{self._options.port}"
        try:
            port = self._bind(address)
        except RuntimeError as error:
            raise SettingsInvalid(
                f"cannot listen on {address}: is the port in use? Set another --host or --port"
            ) from error
        await self.grpc.start()
        _log.info("listening", extra={"address": f"{self._options.host}:{port}"})
        return port

    async def set_serving(self, serving: bool, service: str | None = None) -> None:
        """Set the health of `service`, or of all and of the server as a whole."""
        status = _SERVING if serving else _NOT_SERVING
        names = (service,) if service is not None else ("", *self._service_names)
        for name in names:
            await self._health.set(name, status)

    async def stop(self) -> None:
        """Drain and end; calls still under way after the grace are cancelled."""
        await self.set_serving(False)
        await self.grpc.stop(self._options.grace_s)
        _log.info("stopped")

    def _bind(self, address: str) -> int:
        tls = self._options.tls
        if tls is None:
            return self.grpc.add_insecure_port(address)
        if tls.certificate is None or tls.key is None:
            raise OSError("TLS needs a certificate and a key")
        credentials = grpc.ssl_server_credentials(
            [(tls.key.read_bytes(), tls.certificate.read_bytes())],
            root_certificates=tls.ca.read_bytes() if tls.ca else None,
            require_client_auth=tls.ca is not None,
        )
        return self.grpc.add_secure_port(address, credentials)


def _tracing() -> list[TracedCalls]:
    tracer = spans.installed()
    return [] if tracer is None else [TracedCalls(tracer)]


def server_arguments(options: ServerOptions) -> list[tuple[str, int]]:
    """Return the arguments of a server, for the gRPC library."""
    return [
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.so_reuseport", 0),
        # Also without a call: the library's clients ping as `lookalike.wire.channel` says.
        ("grpc.http2.min_ping_interval_without_data_ms", options.least_ping_interval_ms),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
