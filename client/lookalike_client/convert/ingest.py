"""Ingestion: outcomes, failures, and the state of the queue."""

from __future__ import annotations

from collections.abc import Mapping

from lookalike.v1 import ingest_pb2
from lookalike.wire.status import from_item_error
from lookalike_client import types
from lookalike_client.convert.mutations import mutation_result, near_duplicate
from lookalike_client.convert.values import moment, seconds
from lookalike_client.types import IngestStatus, WorkerStatus


def ingest_event(message: ingest_pb2.WatchIngestResponse) -> types.IngestEvent:
    """Return the outcome of one mutation of a job."""
    return types.IngestEvent(
        cursor=message.cursor,
        result=mutation_result(message.result),
        collection_uid=message.collection_uid,
        remaining=message.remaining,
    )


def ingest_status(message: ingest_pb2.GetIngestStatusResponse) -> IngestStatus:
    """Return the state of ingestion."""
    return IngestStatus(
        queue_depth=message.queue_depth,
        lag=message.lag if message.HasField("lag") else None,
        pending=message.pending,
        oldest_age_s=seconds(message.oldest_age) if message.HasField("oldest_age") else None,
        failures=message.failures,
        queue_bytes=message.queue_bytes,
        max_queue_bytes=message.max_queue_bytes,
        workers=[_worker(each) for each in message.workers],
        lost=message.lost,
        warnings=list(message.warnings),
    )


def ingest_failure(message: ingest_pb2.IngestFailure) -> types.IngestFailure:
    """Return a mutation that was given up."""
    return types.IngestFailure(
        failure_id=message.failure_id,
        collection_uid=message.collection_uid,
        id=message.id,
        version=message.version,
        error=from_item_error(message.error),
        attempts=message.attempts,
        fail_time=moment(message.fail_time) if message.HasField("fail_time") else None,
        job_id=message.job_id,
        near_duplicate=near_duplicate(message.near_duplicate)
        if message.HasField("near_duplicate")
        else None,
    )


def _worker(message: ingest_pb2.WorkerStatus) -> WorkerStatus:
    stages: Mapping[str, float] = {each.stage: seconds(each.mean) for each in message.stage_times}
    return WorkerStatus(
        name=message.name,
        heartbeat_age_s=seconds(message.heartbeat_age),
        paused_reason=message.paused_reason,
        finished=message.finished,
        failed=message.failed,
        rate_per_second=message.rate_per_second,
        stage_s=stages,
    )
