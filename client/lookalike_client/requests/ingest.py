"""Requests to the ingestion queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lookalike.v1 import ingest_pb2
from lookalike.wire.errors import InvalidField
from lookalike_client import structs
from lookalike_client.inputs import DeleteItem, ImageItem, MetadataItem, image_bytes
from lookalike_client.lists import listed, texts
from lookalike_client.requests.bounds import check_id, check_size, naming, parts
from lookalike_client.requests.collections import duplicate_policy

# What a reference begins with, for the service to read.
_REFERENCES = ("file:", "s3:", "gs:")


def submission(
    mutation: object, *, request_id: int, collection: str, job_id: str
) -> ingest_pb2.SubmitImagesRequest:
    """Return one message of SubmitImages; reads the image if it is a path.

    Raises:
        OSError: the file cannot be read.
        ImageUnreadable: it is empty.
        InvalidField: a part of it cannot be sent; the message names the item.
    """
    if not isinstance(mutation, ImageItem | DeleteItem | MetadataItem):
        kind = type(mutation).__name__
        raise InvalidField("mutations", f"must be items such as ImageItem, got {kind}")
    with naming(mutation.id):
        check_id(mutation.id)
        request = ingest_pb2.SubmitImagesRequest(
            request_id=request_id, collection=collection, job_id=job_id
        )
        match mutation:
            case ImageItem():
                request.upload.id = mutation.id
                if mutation.metadata is None:
                    request.upload.keep_metadata = True
                else:
                    request.upload.metadata.CopyFrom(structs.from_dict(mutation.metadata))
                request.upload.duplicate_policy = duplicate_policy(mutation.duplicate_policy)
                if mutation.image_uri:
                    request.upload.image_uri = mutation.image_uri
            case MetadataItem():
                request.metadata.id = mutation.id
                request.metadata.metadata.CopyFrom(structs.from_dict(mutation.metadata))
            case DeleteItem():
                request.delete.id = mutation.id
        check_size(request)
    if isinstance(mutation, ImageItem):
        if not mutation.image_uri:
            request.upload.image = image_bytes(mutation.image or b"")
        _add_further(request.upload, mutation)
    return request


def _add_further(upload: ingest_pb2.ImageUpload, item: ImageItem) -> None:
    """Add the further pictures of an item, one after the other: they must fit in a message."""
    with naming(item.id):
        images = listed("further_images", item.further_images)
    for image in images:
        if isinstance(image, str) and image.startswith(_REFERENCES):
            upload.further_images.add(image_uri=image)
        else:
            upload.further_images.add(image=image_bytes(image))
        with naming(item.id):
            check_size(upload)


def retries(
    failure_ids: Sequence[str], policy: str = ""
) -> Iterator[ingest_pb2.RetryFailuresRequest]:
    """Yield requests of as many failures as one may hold; `policy` for their duplicates."""
    number = duplicate_policy(policy)
    for part in parts(texts("failure_ids", failure_ids)):
        yield ingest_pb2.RetryFailuresRequest(failure_ids=part, duplicate_policy=number)
