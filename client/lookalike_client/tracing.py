"""Traces of a client's calls, joined with those of the services that answer them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lookalike.wire.traces import otlp, spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


@contextmanager
def traced(
    to: str | TracerProvider, *, share: float = 1.0, process: str = "client"
) -> Iterator[None]:
    """Trace the calls of clients that are made in this block; send what is left after it.

    `to` is the collector's address, such as "http://127.0.0.1:4317", or a provider of
    OpenTelemetry's that the program has: calls then lie in the span that is current, and
    the provider is left open. `share` of the traces that calls begin are kept. Each call
    outside a span begins a trace.

    Raises:
        InvalidField: the address cannot be used, or the extra `tracing` is not installed.
    """
    if isinstance(to, str):
        tracer: spans.Tracer = otlp.connect(process, to, share, begins_calls=True)
    else:
        tracer = otlp.OtelTracer(to, begins_calls=True)
    spans.install(tracer)
    try:
        yield
    finally:
        spans.install(None)
        if isinstance(to, str):
            tracer.close()
