"""A collector of OpenTelemetry's, as far as tests ask: it keeps spans and gives them back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True, slots=True)
class Seen:
    """A span that was exported; ids are hexadecimal, empty for no parent. Times in seconds."""

    process: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    start_s: float
    end_s: float


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """`TraceService` on a port of its own, from `with` to the end of its block."""

    spans: list[Seen] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(4))
        # The library ships no types for it.
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        with self._arrived:
            for resource in request.resource_spans:
                process = _attributes(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    self.spans += [_seen(process, span) for span in scope.spans]
            self._arrived.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def wait(self, enough: Callable[[list[Seen]], bool], within_s: float = 30.0) -> list[Seen]:
        """Return all spans once they are `enough`."""
        until_s = time.monotonic() + within_s
        with self._arrived:
            while not enough(self.spans):
                left_s = until_s - time.monotonic()
                assert left_s > 0, sorted({(span.process, span.name) for span in self.spans})
                self._arrived.wait(left_s)
            return list(self.spans)


def _seen(process: str, span: Any) -> Seen:
    return Seen(
        process,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        tuple(link.trace_id.hex() for link in span.links),
        _attributes(span.attributes),
        span.start_time_unix_nano / 1e9,
        span.end_time_unix_nano / 1e9,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
