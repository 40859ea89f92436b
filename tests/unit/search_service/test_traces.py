"""Mutations past the first hundred of a stream begin traces of their own."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lookalike.serving.logs import JsonFormatter, TextFormatter
from lookalike.serving.queue.entries import Kind
from lookalike.wire.traces import otlp, spans
from search_service.ingest.submission import Request, Submission
from search_service.ingest.submit_stream import SubmitStream, Window

PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.install(otlp.OtelTracer(provider, begins_calls=False))
    yield exporter
    spans.install(None)
    provider.shutdown()


async def _requests(count: int) -> AsyncIterator[Request]:
    for number in range(count):
        yield Request(number, Submission("images", Kind.DELETE, str(number)))


async def test_they_name_the_trace_of_the_stream(exported: InMemorySpanExporter) -> None:
    tracer = spans.installed()
    assert tracer is not None
    traces: list[str] = []

    async def submit(submission: Submission) -> int:
        span = spans.current()
        assert span is not None
        traces.append(span.trace_id)
        return 1

    stream = SubmitStream(submit, Window(1000, 1 << 20), asyncio.Event())
    with spans.ended(tracer.begin("stream", spans.Kind.SERVER, PARENT)):
        answers = [answer.outcome async for answer in stream.answers(_requests(103))]

    assert answers == [1] * 103
    assert traces[:100] == ["a" * 32] * 100
    assert len(set(traces[100:]) - {"a" * 32}) == 3
    own = [span for span in exported.get_finished_spans() if span.name == "submit"]
    assert [[f"{link.context.trace_id:032x}" for link in span.links] for span in own] == [
        ["a" * 32]
    ] * 3


async def test_without_a_tracer_there_is_no_span() -> None:
    seen: list[spans.Span | None] = []

    async def submit(submission: Submission) -> int:
        with spans.stage("anything") as span:
            seen.append(span)
        return 1

    stream = SubmitStream(submit, Window(1000, 1 << 20), asyncio.Event())
    assert len([answer async for answer in stream.answers(_requests(101))]) == 101
    assert seen == [None] * 101


@pytest.mark.parametrize("damaged", ["", "nonsense", PARENT[:-3], "00-" + "0" * 32 + PARENT[35:]])
def test_a_damaged_parent_is_left_out(exported: InMemorySpanExporter, damaged: str) -> None:
    tracer = spans.installed()
    assert tracer is not None
    tracer.begin("call", spans.Kind.SERVER, damaged).end()

    (span,) = exported.get_finished_spans()
    assert span.parent is None


def test_lines_of_the_log_name_the_trace(exported: InMemorySpanExporter) -> None:

    tracer = spans.installed()
    assert tracer is not None
    record = logging.LogRecord("name", logging.INFO, "file", 1, "said", None, None)
    with spans.ended(tracer.begin("call", spans.Kind.SERVER, PARENT)) as span:
        line = json.loads(JsonFormatter().format(record))
        text = TextFormatter().format(record)

    assert line["trace_id"] == "a" * 32
    assert line["span_id"] == span.span_id
    assert f"trace_id={'a' * 32}" in text
    assert "trace_id" not in json.loads(JsonFormatter().format(record))
