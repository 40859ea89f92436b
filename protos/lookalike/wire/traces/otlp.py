"""Spans of OpenTelemetry, sent by OTLP over gRPC."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lookalike.wire.errors import InvalidField
from lookalike.wire.traces.spans import Attribute, Kind, Span, Tracer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext

_ADDRESS = re.compile(r"(https?)://([^/\s]+)/?")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
# What cannot be sent in this time is dropped: a collector that is away must not keep a
# process from ending, nor fill its memory.
_EXPORT_TIMEOUT_S = 5
_QUEUED_SPANS = 8192
_NANO = 1_000_000_000


def connect(process: str, url: str, share: float, *, begins_calls: bool = False) -> Tracer:
    """Return a tracer of the process of that name, which exports to a collector.

    `url` is http://host:port, or https:// for TLS; `share` of the traces that begin here
    are kept, and those of others as these say.

    Raises:
        InvalidField: `url` has another form, or OpenTelemetry is not installed.
    """
    match = _ADDRESS.fullmatch(url)
    if match is None:
        raise InvalidField("traces_to", f"{url!r}: use http://HOST:PORT, or https:// for TLS")
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError as error:
        raise InvalidField(
            "traces_to", "traces need the extra: pip install 'lookalike[tracing]'"
        ) from error
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)),
        resource=Resource({"service.name": process, "service.namespace": "lookalike"}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(
        endpoint=match[2],
        insecure=match[1] == "http",
        timeout=_EXPORT_TIMEOUT_S,
        # As between all parts of the system: directly, whatever proxy the environment names.
        channel_options=(("grpc.enable_http_proxy", 0),),  # type: ignore[arg-type]  # numbers too
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=_QUEUED_SPANS, export_timeout_millis=1000 * _EXPORT_TIMEOUT_S
        )
    )
    return OtelTracer(provider, begins_calls=begins_calls)


class OtelTracer:
    """`spans.Tracer` over a provider of OpenTelemetry's.

    A span without a parent of ours lies in the one that OpenTelemetry holds to be current,
    so that a program that traces itself sees our calls in its traces.
    """

    def __init__(self, provider: TracerProvider, *, begins_calls: bool) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("lookalike")
        self.begins_calls = begins_calls

    def begin(self, name: str, kind: Kind, parent: str = "", links: Sequence[str] = ()) -> Span:
        """See `spans.Tracer`."""
        from opentelemetry import trace

        context = None
        if (remote := _read(parent)) is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        named = [trace.Link(found) for text in links if (found := _read(text)) is not None]
        started = self._tracer.start_span(
            name, context=context, kind=trace.SpanKind[kind.value], links=named
        )
        return OtelSpan(self._tracer, started)

    def close(self) -> None:
        """See `spans.Tracer`."""
        self._provider.force_flush(1000 * _EXPORT_TIMEOUT_S)
        self._provider.shutdown()


class OtelSpan:
    """`spans.Span` over one of OpenTelemetry's."""

    __slots__ = ("_span", "_tracer", "kept", "span_id", "trace_id", "traceparent")

    def __init__(self, tracer: Any, span: Any) -> None:
        self._tracer = tracer
        self._span = span
        context = span.get_span_context()
        self.kept: bool = span.is_recording()
        self.trace_id = f"{context.trace_id:032x}"
        self.span_id = f"{context.span_id:016x}"
        self.traceparent = f"00-{self.trace_id}-{self.span_id}-{int(context.trace_flags):02x}"

    def begin(self, name: str, kind: Kind = Kind.INTERNAL, start_s: float | None = None) -> Span:
        """See `spans.Span`."""
        from opentelemetry import trace

        started = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(self._span),
            kind=trace.SpanKind[kind.value],
            start_time=_nanoseconds(start_s),
        )
        return OtelSpan(self._tracer, started)

    def say(self, **attributes: Attribute) -> None:
        """See `spans.Span`."""
        for name, value in attributes.items():
            self._span.set_attribute(name.replace("__", "."), value)

    def end(self, failure: str = "", end_s: float | None = None) -> None:
        """See `spans.Span`."""
        if failure:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, failure))
        self._span.end(_nanoseconds(end_s))


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * _NANO)


@functools.lru_cache(maxsize=256)
def _read(traceparent: str) -> SpanContext | None:
    """Return what a `traceparent` names; None for one that is damaged, or of all zeros."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    from opentelemetry.trace import SpanContext, TraceFlags

    context = SpanContext(
        int(match[1], 16),
        int(match[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(match[3], 16)),
    )
    return context if context.is_valid else None
