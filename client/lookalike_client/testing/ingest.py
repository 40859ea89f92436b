"""The fake service's ingestion: what is submitted is embedded and stored at once."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from lookalike.v1 import ingest_pb2, ingest_pb2_grpc, search_pb2
from lookalike.wire.errors import InvalidField, LookalikeError, Precondition, Reason
from lookalike.wire.status import to_item_error
from lookalike.wire.vectors import F32
from lookalike_client.testing.answering import (
    check_count,
    check_further,
    check_id,
    check_kept,
    now,
    page_of,
    streaming,
    unary,
)
from lookalike_client.testing.models import FINGERPRINT, Model
from lookalike_client.testing.state import FakeCollection, State, failed

_MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Failure:
    """A mutation that was given up, with what it takes to try it again."""

    message: ingest_pb2.IngestFailure
    request: ingest_pb2.SubmitImagesRequest


class IngestServicer(ingest_pb2_grpc.IngestServiceServicer):
    """Takes mutations in, and tells what became of them."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._failures: dict[str, _Failure] = {}
        self._numbers = count(1)

    @streaming
    def SubmitImages(
        self, request_iterator: Iterator[ingest_pb2.SubmitImagesRequest]
    ) -> Iterator[ingest_pb2.SubmitImagesResponse]:
        for request in request_iterator:
            response = ingest_pb2.SubmitImagesResponse(request_id=request.request_id)
            try:
                with self._state.lock:
                    response.accepted.version = self._submit(request)
            except LookalikeError as error:
                response.error.CopyFrom(to_item_error(error))
            yield response

    @streaming
    def WatchIngest(
        self, request: ingest_pb2.WatchIngestRequest
    ) -> Iterator[ingest_pb2.WatchIngestResponse]:
        if not request.job_id:
            raise InvalidField("job_id", "name the job")
        if request.cursor and not request.cursor.isdecimal():
            raise InvalidField("cursor", "is none of this job's")
        with self._state.lock:
            events = self._state.events.get(request.job_id, [])[int(request.cursor or "0") :]
        yield from events

    @unary
    def GetIngestStatus(
        self, request: ingest_pb2.GetIngestStatusRequest
    ) -> ingest_pb2.GetIngestStatusResponse:
        return ingest_pb2.GetIngestStatusResponse(lag=0, failures=len(self._failures))

    @unary
    def ListFailures(
        self, request: ingest_pb2.ListFailuresRequest
    ) -> ingest_pb2.ListFailuresResponse:
        with self._state.lock:
            uid = self._state.find(request.collection).message.uid if request.collection else ""
            newest_first = [
                each.message
                for each in reversed(self._failures.values())
                if uid in ("", each.message.collection_uid)
            ]
            page, token = page_of(newest_first, request.page_size, request.page_token)
            return ingest_pb2.ListFailuresResponse(failures=page, next_page_token=token)

    @unary
    def RetryFailures(
        self, request: ingest_pb2.RetryFailuresRequest
    ) -> ingest_pb2.RetryFailuresResponse:
        check_count("failure_ids", len(request.failure_ids), _MOST_AT_ONCE)
        response = ingest_pb2.RetryFailuresResponse()
        with self._state.lock:
            for failure_id in request.failure_ids:
                failure = self._failures.pop(failure_id, None)
                if failure is None:
                    response.missing_failure_ids.append(failure_id)
                else:
                    if request.duplicate_policy:
                        failure.request.upload.duplicate_policy = request.duplicate_policy
                    self._run(failure.request, failure.message.version)
                    response.retried += 1
        return response

    def _submit(self, request: ingest_pb2.SubmitImagesRequest) -> int:
        """Store what a mutation says; return its version.

        Raises:
            LookalikeError: it is refused.
        """
        collection = self._state.find(request.collection)
        kind = request.WhichOneof("mutation")
        if kind is None:
            raise InvalidField("mutation", "say what to do: upload, delete or metadata")
        check_id(_id_of(request), f"{kind}.id")
        if kind == "upload":
            _check_upload(request.upload, collection)
        version = collection.next_version()
        self._run(request, version)
        return version

    def _run(self, request: ingest_pb2.SubmitImagesRequest, version: int) -> None:
        collection = self._state.find(request.collection)
        if request.HasField("upload"):
            result = self._embed(request.upload, collection, version)
        elif request.HasField("delete"):
            result = collection.delete(request.delete.id, version=version)
        else:
            changed = request.metadata
            update = search_pb2.MetadataUpdate(id=changed.id, metadata=changed.metadata)
            result = collection.update(update, version=version)
        self._end(request, collection.message.uid, result)

    def _embed(
        self, upload: ingest_pb2.ImageUpload, collection: FakeCollection, version: int
    ) -> search_pb2.MutationResult:
        model = self._state.model
        try:
            vectors = _vectors(upload, model)
        except LookalikeError as error:
            result = failed(upload.id, error)
            result.version = version
            return result
        item = search_pb2.VectorUpsert(
            id=upload.id,
            metadata=upload.metadata,
            keep_metadata=upload.keep_metadata,
            facts=model.facts(upload.image),
            model_fingerprint=FINGERPRINT,
            duplicate_policy=upload.duplicate_policy,
        )
        return collection.upsert(item, vectors=vectors, version=version)

    def _end(
        self,
        request: ingest_pb2.SubmitImagesRequest,
        collection_uid: str,
        result: search_pb2.MutationResult,
    ) -> None:
        """Note the outcome for those who watch the job, and a failure in the list."""
        if request.job_id:
            events = self._state.events.setdefault(request.job_id, [])
            cursor = str(len(events) + 1)
            events.append(
                ingest_pb2.WatchIngestResponse(
                    cursor=cursor, result=result, collection_uid=collection_uid
                )
            )
        rejected = result.status == search_pb2.MUTATION_STATUS_REJECTED_DUPLICATE
        if rejected or result.HasField("error"):
            message = ingest_pb2.IngestFailure(
                failure_id=f"failure-{next(self._numbers)}",
                collection_uid=collection_uid,
                id=result.id,
                version=result.version,
                error=to_item_error(_rejection(result)) if rejected else result.error,
                near_duplicate=result.near_duplicate if rejected else None,
                attempts=1,
                fail_time=now(),
                job_id=request.job_id,
            )
            self._failures[message.failure_id] = _Failure(message, request)


def _rejection(result: search_pb2.MutationResult) -> LookalikeError:
    near = result.near_duplicate
    return Precondition(
        f'looks like "{near.id}" (cosine {near.score:.4f}) and was not stored; '
        "try it again with another duplicate policy to store it all the same",
        reason=Reason.DUPLICATE_REJECTED,
    )


def _vectors(upload: ingest_pb2.ImageUpload, model: Model) -> list[F32]:
    """Return the vectors of an item's pictures; an error says of which of several.

    Raises:
        LookalikeError: what the model raises.
    """
    vectors = [model.vector(upload.image, "upload.image")]
    for number, each in enumerate(upload.further_images):
        try:
            vectors.append(model.vector(each.image, f"upload.further_images[{number}].image"))
        except LookalikeError as error:
            of = 1 + len(upload.further_images)
            error.message = f"picture {number + 2} of {of}: {error.message}"
            raise
    return vectors


def _id_of(request: ingest_pb2.SubmitImagesRequest) -> str:
    return request.upload.id or request.delete.id or request.metadata.id


def _check_upload(upload: ingest_pb2.ImageUpload, collection: FakeCollection) -> None:
    """Check that an image can be embedded.

    Raises:
        Precondition: the collection takes vectors only.
        InvalidField: the image is missing or a reference.
    """
    if not collection.message.model_fingerprint:
        raise Precondition(
            "the collection takes vectors that the caller makes; use UpsertVectors",
            reason=Reason.MODEL_MISMATCH,
            field="collection",
        )
    if upload.image_uri:
        raise InvalidField("upload.image_uri", "the fake service reads no references")
    check_kept(upload, "upload.")
    check_further("further_images", len(upload.further_images), "upload.")
    for number, each in enumerate(upload.further_images):
        where = f"upload.further_images[{number}]"
        if each.image_uri:
            raise InvalidField(f"{where}.image_uri", "the fake service reads no references")
        if not each.image:
            raise InvalidField(f"{where}.image", "send an encoded image")
    if not upload.image:
        raise InvalidField("upload.image", "send an encoded image")
