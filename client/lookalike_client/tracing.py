"""Traces and request ids of a client's calls, the same in the services that answer them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lookalike.wire import request_ids
from lookalike.wire.traces import otlp, spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


@contextmanager
def request_id(given: str) -> Iterator[None]:
    """Give the calls of this block an id: each line that services log for them has it.

    What is submitted to the queue keeps it. Without one each call gets its own.

    Raises:
        InvalidField: it is no text of up to 128 characters from space to ~ of ASCII.
    """
    with request_ids.within(given):
        yield


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
