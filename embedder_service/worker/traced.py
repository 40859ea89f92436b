"""The worker's part of the traces that come through the queue."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from embedder_service.worker.protocols import Entry
from lookalike.serving.queue.entries import QueuedMutation
from lookalike.wire import request_ids
from lookalike.wire.traces import spans


def about(mutation: QueuedMutation) -> dict[str, object]:
    """Return what a line of the log says of a mutation."""
    said: dict[str, object] = {
        "collection": mutation.collection_uid,
        "item": mutation.id,
        "version": mutation.version,
    }
    return {**said, "job": mutation.job_id} if mutation.job_id else said


@contextmanager
def of(entry: Entry) -> Iterator[None]:
    """Work for the request that brought an entry: lines of the log have its id."""
    came = entry.mutation.request_id if entry.mutation else ""
    with request_ids.within(request_ids.usable(came)):
        yield


@contextmanager
def applying(mutation: QueuedMutation) -> Iterator[None]:
    """Work in the trace that a mutation came with, if it did and this process traces."""
    tracer = spans.installed()
    if tracer is None or not mutation.traceparent:
        yield
        return
    name = f"apply {mutation.kind.value}"
    with spans.ended(tracer.begin(name, spans.Kind.CONSUMER, mutation.traceparent)) as span:
        if span.kept:
            waited_s = max(0.0, time.time() - mutation.submit_time_ms / 1000)
            spans.past([("wait in the queue", waited_s)])
        yield


@contextmanager
def together(of: Sequence[spans.Span | None]) -> Iterator[None]:
    """Work for all of these with one call: in the first's trace, with links to the others."""
    kept = [span for span in of if span is not None and span.kept]
    tracer = spans.installed()
    if tracer is None or not kept:
        with spans.within(None):
            yield
        return
    links = [span.traceparent for span in kept[1:]]
    with spans.ended(tracer.begin("store", spans.Kind.INTERNAL, kept[0].traceparent, links)):
        yield
