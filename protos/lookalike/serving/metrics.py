"""Prometheus metrics: those of every call, and the endpoint."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from lookalike.serving.settings.reading import SettingsInvalid
from lookalike.wire.traces import spans

# From a fifth of a millisecond (an empty call) to half a minute.
_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


def observe(histogram: Histogram, seconds: float) -> None:
    """Count a time, with the trace of the call at hand as its exemplar where one is kept."""
    span = spans.current()
    if span is not None and span.kept:
        histogram.observe(seconds, {"trace_id": span.trace_id})
    else:
        histogram.observe(seconds)


class CallMetrics:
    """Calls by method and code, their times, and how many are under way."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.calls = Counter(
            "lookalike_rpc_calls",
            "Finished gRPC calls",
            ["method", "code"],
            registry=registry,
        )
        self.seconds = Histogram(
            "lookalike_rpc_seconds",
            "Time of a gRPC call, streams included, in seconds",
            ["method"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.active = Gauge("lookalike_rpc_active", "gRPC calls under way", registry=registry)


class Endpoint:
    """A running metrics endpoint."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(registry: CollectorRegistry, host: str, port: int) -> Endpoint:
    """Serve `registry` at http://host:port/metrics; port 0 takes a free one.

    Raises:
        SettingsInvalid: the port cannot be bound.
    """
    # Memory and processor time of the process, beside what it says of its work.
    ProcessCollector(registry=registry)
    try:
        return Endpoint(registry, host, port)
    except OSError as error:
        raise SettingsInvalid(
            f"cannot serve metrics on {host}:{port} ({error.strerror}): "
            "set another --metrics-host or --metrics-port"
        ) from error
