"""Requests to the ingestion queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lookalike.v1 import ingest_pb2
from lookalike_client import structs
from lookalike_client.inputs import DeleteItem, ImageItem, MetadataItem, QueuedMutation, image_bytes
from lookalike_client.lists import texts
from lookalike_client.requests.bounds import parts
from lookalike_client.requests.collections import duplicate_policy


def submission(
    mutation: QueuedMutation, *, request_id: int, collection: str, job_id: str
) -> ingest_pb2.SubmitImagesRequest:
    """Return one message of SubmitImages; reads the image if it is a path.

    Raises:
        OSError: the file cannot be read.
        LookalikeError: the image is empty or too large, metadata is not JSON, or there
            is no such duplicate policy.
    """
    request = ingest_pb2.SubmitImagesRequest(
        request_id=request_id, collection=collection, job_id=job_id
    )
    match mutation:
        case ImageItem():
            request.upload.id = mutation.id
            if mutation.image_uri:
                request.upload.image_uri = mutation.image_uri
            else:
                request.upload.image = image_bytes(mutation.image or b"")
            if mutation.metadata is None:
                request.upload.keep_metadata = True
            else:
                request.upload.metadata.CopyFrom(structs.from_dict(mutation.metadata))
            request.upload.duplicate_policy = duplicate_policy(mutation.duplicate_policy)
        case MetadataItem():
            request.metadata.id = mutation.id
            request.metadata.metadata.CopyFrom(structs.from_dict(mutation.metadata))
        case DeleteItem():
            request.delete.id = mutation.id
    return request


def retries(
    failure_ids: Sequence[str], policy: str = ""
) -> Iterator[ingest_pb2.RetryFailuresRequest]:
    """Yield requests of as many failures as one may hold; `policy` for their duplicates."""
    number = duplicate_policy(policy)
    for part in parts(texts("failure_ids", failure_ids)):
        yield ingest_pb2.RetryFailuresRequest(failure_ids=part, duplicate_policy=number)
