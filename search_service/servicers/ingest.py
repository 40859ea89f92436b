"""`lookalike.v1.IngestService`: translates and delegates to the front door."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from google.protobuf import struct_pb2

from lookalike.serving.queue import jobs
from lookalike.serving.queue.entries import Kind
from lookalike.v1 import collection_pb2, ingest_pb2, ingest_pb2_grpc, search_pb2
from lookalike.wire.errors import InvalidField, LookalikeError
from lookalike.wire.status import to_item_error
from search_service.access.confined import stamped
from search_service.ingest.submission import Answer, Picture, Request, Submission, Tenant
from search_service.servicers.specs import read_policy_override
from search_service.servicers.structs import check_kept, read_metadata, write_metadata
from search_service.servicers.translate import duration_of, timestamp_of

if TYPE_CHECKING:
    import grpc

    from search_service.access.gate import Gate
    from search_service.domain.confinement import Confinement
    from search_service.domain.metadata import Metadata
    from search_service.ingest.failures import Failure
    from search_service.ingest.front_door import FrontDoor
    from search_service.ingest.status import WorkerState

    Context = grpc.aio.ServicerContext[Any, Any]

SERVICE_NAME = "lookalike.v1.IngestService"


class IngestServicer(ingest_pb2_grpc.IngestServiceServicer):
    """The service over one front door."""

    def __init__(self, gate: Gate, door: FrontDoor) -> None:
        self._gate = gate
        self._door = door

    async def SubmitImages(
        self, requests: AsyncIterator[ingest_pb2.SubmitImagesRequest], context: Context
    ) -> AsyncIterator[ingest_pb2.SubmitImagesResponse]:
        """Queue a stream of mutations."""

        async def read() -> AsyncIterator[Request]:
            async for message in requests:
                yield _read_request(message, self._gate)

        async with aclosing(self._door.submit_all(read())) as answers:
            async for answer in answers:
                yield _answer_message(answer)

    async def GetIngestStatus(
        self, request: ingest_pb2.GetIngestStatusRequest, context: Context
    ) -> ingest_pb2.GetIngestStatusResponse:
        """Tell how much waits and how it goes."""
        if (mark := self._mark()) != "":
            own = await self._door.state_of(mark)
            return ingest_pb2.GetIngestStatusResponse(
                queue_depth=own.depth,
                oldest_age=None if own.oldest_age_s is None else duration_of(own.oldest_age_s),
                failures=own.failures,
                lost=own.lost,
            )
        state = await self._door.state()
        queue = state.queue
        return ingest_pb2.GetIngestStatusResponse(
            queue_depth=queue.depth,
            lag=queue.lag,
            pending=queue.pending,
            oldest_age=None if queue.oldest_age_s is None else duration_of(queue.oldest_age_s),
            failures=queue.failures,
            queue_bytes=max(0, queue.counted_bytes),
            max_queue_bytes=state.max_queue_bytes,
            workers=[_worker_message(worker) for worker in state.workers],
            lost=state.lost,
            warnings=state.warnings,
        )

    async def WatchIngest(
        self, request: ingest_pb2.WatchIngestRequest, context: Context
    ) -> AsyncIterator[ingest_pb2.WatchIngestResponse]:
        """Stream the outcomes of a job."""
        async with aclosing(
            self._door.watch(request.job_id, request.cursor, self._mark())
        ) as events:
            async for event in events:
                if event.collection_uid and not self._gate.sees(event.collection_uid):
                    continue
                yield ingest_pb2.WatchIngestResponse(
                    cursor=event.cursor,
                    result=search_pb2.MutationResult.FromString(event.result),
                    collection_uid=event.collection_uid,
                    remaining=event.remaining,
                )

    async def ListFailures(
        self, request: ingest_pb2.ListFailuresRequest, context: Context
    ) -> ingest_pb2.ListFailuresResponse:
        """List a page of failures."""
        self._gate.check_any(request.collection)
        mark = self._mark()
        failures, token = await self._door.list_failures(
            request.collection, request.page_size, request.page_token, mark
        )
        return ingest_pb2.ListFailuresResponse(
            failures=[_failure_message(failure, mark) for failure in failures],
            next_page_token=token,
        )

    async def RetryFailures(
        self, request: ingest_pb2.RetryFailuresRequest, context: Context
    ) -> ingest_pb2.RetryFailuresResponse:
        """Queue failures again."""
        mark = self._mark()

        def seen(failure: Failure) -> bool:
            own = jobs.belongs(mark, failure.job_id)
            return own and self._gate.sees(failure.collection_uid)

        retried, missing = await self._door.retry_failures(
            list(request.failure_ids),
            _read_policy(request.duplicate_policy, "duplicate_policy"),
            seen=seen,
        )
        return ingest_pb2.RetryFailuresResponse(retried=retried, missing_failure_ids=missing)

    def _mark(self) -> str:
        """Return the mark of the tenant who calls, "" for a caller who sees everything."""
        confinement = self._gate.confinement()
        return "" if confinement is None else confinement.mark


def _read_request(message: ingest_pb2.SubmitImagesRequest, gate: Gate) -> Request:
    try:
        gate.check(message.collection)
        submission = _read_submission(message)
        confinement = gate.confinement()
        if confinement is not None:
            submission = _confined(submission, confinement)
        return Request(message.request_id, submission)
    except LookalikeError as error:
        return Request(message.request_id, error)


def _read_submission(message: ingest_pb2.SubmitImagesRequest) -> Submission:
    which = message.WhichOneof("mutation")
    if which == "upload":
        upload = message.upload
        read_metadata(upload.metadata, "upload.metadata")
        if upload.keep_metadata:
            check_kept(upload.metadata, "upload.metadata")
        if upload.WhichOneof("source") is None:
            raise InvalidField("upload.source", "send an encoded image, or a reference to one")
        return Submission(
            collection=message.collection,
            kind=Kind.UPLOAD,
            id=upload.id,
            job_id=message.job_id,
            image=upload.image,
            image_uri=upload.image_uri,
            metadata=upload.metadata.SerializeToString(),
            duplicate_policy=_read_policy(upload.duplicate_policy, "upload.duplicate_policy"),
            keep_metadata=upload.keep_metadata,
            further=tuple(
                Picture(each.image, each.image_uri, f"upload.further_images[{number}]")
                for number, each in enumerate(upload.further_images)
            ),
        )
    if which == "delete":
        return Submission(message.collection, Kind.DELETE, message.delete.id, message.job_id)
    if which == "metadata":
        read_metadata(message.metadata.metadata, "metadata.metadata")
        return Submission(
            collection=message.collection,
            kind=Kind.METADATA,
            id=message.metadata.id,
            job_id=message.job_id,
            metadata=message.metadata.metadata.SerializeToString(),
        )
    raise InvalidField("mutation", "say what to do: upload, delete or metadata")


def _confined(submission: Submission, confinement: Confinement) -> Submission:
    """Return a submission as the tenant's: its metadata says so, and its guard."""
    tenant = Tenant(confinement.mark, _struct(confinement.stamped({})), confinement.owns)
    metadata = submission.metadata
    if submission.kind is not Kind.DELETE and not submission.keep_metadata:
        field = "metadata.metadata" if submission.kind is Kind.METADATA else "upload.metadata"
        said = read_metadata(struct_pb2.Struct.FromString(metadata), field)
        metadata = _struct(stamped(confinement, said, field))
    return replace(submission, metadata=metadata, tenant=tenant)


def _struct(metadata: Metadata) -> bytes:
    struct = struct_pb2.Struct()
    write_metadata(metadata, struct)
    return struct.SerializeToString(deterministic=True)


def _read_policy(policy: collection_pb2.DuplicatePolicy.ValueType, field: str) -> int:
    """Return the number of a policy, 0 for the collection's."""
    read_policy_override(policy, None, field)
    return int(policy)


def _answer_message(answer: Answer) -> ingest_pb2.SubmitImagesResponse:
    outcome = answer.outcome
    if isinstance(outcome, int):
        accepted = ingest_pb2.SubmitAccepted(version=outcome)
        return ingest_pb2.SubmitImagesResponse(request_id=answer.request_id, accepted=accepted)
    response = ingest_pb2.SubmitImagesResponse(
        request_id=answer.request_id, error=to_item_error(outcome)
    )
    if outcome.retryable:
        delay_s = 1.0 if outcome.retry_delay_s is None else outcome.retry_delay_s
        response.retry_delay.CopyFrom(duration_of(delay_s))
    return response


def _failure_message(failure: Failure, mark: str) -> ingest_pb2.IngestFailure:
    message = ingest_pb2.IngestFailure(
        failure_id=failure.failure_id,
        collection_uid=failure.collection_uid,
        id=failure.id,
        version=failure.version,
        attempts=failure.attempts,
        fail_time=timestamp_of(failure.fail_time_ms * 1000),
        job_id=jobs.shown(mark, failure.job_id),
    )
    message.error.reason = failure.reason  # type: ignore[assignment]  # an open enum: kept as it came
    message.error.message = failure.message
    message.error.field = failure.field
    message.error.retryable = failure.retryable
    if failure.near_id:
        message.near_duplicate.id = failure.near_id
        message.near_duplicate.score = failure.near_score
    return message


def _worker_message(worker: WorkerState) -> ingest_pb2.WorkerStatus:
    return ingest_pb2.WorkerStatus(
        name=worker.name,
        heartbeat_age=duration_of(worker.heartbeat_age_s),
        paused_reason=worker.paused_reason,
        finished=worker.finished,
        failed=worker.failed,
        rate_per_second=worker.rate_per_second,
        stage_times=[
            ingest_pb2.StageTime(stage=stage, mean=duration_of(mean_s))
            for stage, mean_s in sorted(worker.stage_mean_s.items())
        ],
    )
