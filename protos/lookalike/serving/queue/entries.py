"""Mutations as entries of the queue's stream. Knows names and bytes, no Redis client."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lookalike.wire.errors import InvalidField

# What an entry costs in Redis besides image and metadata: small fields, stream
# node, pending entry, version. Measured on Valkey 9.1.2 with 20,000 deletions:
# 131 bytes each when queued, 263 when delivered.
ENTRY_OVERHEAD_BYTES = 264

_JOB_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
# As others are shown a tenant's jobs: see `jobs.named`.
_TENANTS_JOB = re.compile(r"[0-9a-f]{16}:[A-Za-z0-9_.-]{1,64}\Z")
_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}\Z")


class Kind(StrEnum):
    """What a queued mutation does."""

    UPLOAD = "upload"
    DELETE = "delete"
    METADATA = "metadata"


class EntryDamaged(InvalidField):
    """An entry of the queue was not written by this version's `encode`."""

    def __init__(self) -> None:
        super().__init__("", "the queue entry cannot be read: submit the image again")


@dataclass(frozen=True, slots=True)
class QueuedMutation:
    """One accepted mutation.

    `metadata` is a serialised `google.protobuf.Struct`, empty for none; `image`
    the encoded file, `further_images` those of more pictures of the item;
    `model_fingerprint` the collection's model, `named_models` those by which it has vectors
    besides: name and fingerprint. `duplicate_policy`
    is a number of `lookalike.v1.DuplicatePolicy`, 0 for the collection's. An upload
    with `keep_metadata` leaves what is stored. With `twinned` another collection has it, or
    takes it, under the same version. `thumbnail_side_px`: see
    `lookalike.v1.ThumbnailSettings`. `guard` is a serialised Struct, empty for none: see
    `lookalike.v1.VectorUpsert`. `traceparent` is the trace that it belongs to, if any, and
    `request_id` the call that brought it. The same version always stands for the same content.
    """

    collection_uid: str
    id: str
    kind: Kind
    version: int
    submit_time_ms: int
    job_id: str = ""
    model_fingerprint: str = ""
    image: bytes = b""
    metadata: bytes = b""
    duplicate_policy: int = 0
    keep_metadata: bool = False
    twinned: bool = False
    thumbnail_side_px: int = 0
    guard: bytes = b""
    traceparent: str = ""
    further_images: tuple[bytes, ...] = ()
    named_models: tuple[tuple[str, str], ...] = ()
    request_id: str = ""

    @property
    def counted_bytes(self) -> int:
        """What the entry is taken to cost in Redis."""
        return (
            len(self.image)
            + sum(map(len, self.further_images))
            + len(self.metadata)
            + len(self.id.encode())
            + len(self.job_id)
            + len(self.guard)
            + ENTRY_OVERHEAD_BYTES
        )


def encode(mutation: QueuedMutation) -> list[bytes]:
    """Return the entry's fields as [name, value, name, value, …]."""
    fields = [
        b"u", mutation.collection_uid.encode(),
        b"i", mutation.id.encode(),
        b"k", mutation.kind.value.encode(),
        b"v", b"%d" % mutation.version,
        b"t", b"%d" % mutation.submit_time_ms,
        b"n", b"%d" % mutation.counted_bytes,
    ]  # fmt: skip
    optional = (
        (b"j", mutation.job_id.encode()),
        (b"f", mutation.model_fingerprint.encode()),
        (b"p", b"%d" % mutation.duplicate_policy if mutation.duplicate_policy else b""),
        (b"m", mutation.metadata),
        (b"b", mutation.image),
        (b"s", b"1" if mutation.keep_metadata else b""),
        (b"c", b"1" if mutation.twinned else b""),
        (b"w", b"%d" % mutation.thumbnail_side_px if mutation.thumbnail_side_px else b""),
        (b"g", mutation.guard),
        (b"x", mutation.traceparent.encode()),
        (b"y", json.dumps(mutation.named_models).encode() if mutation.named_models else b""),
        *((b"b%d" % number, image) for number, image in enumerate(mutation.further_images, 1)),
        (b"q", mutation.request_id.encode()),
    )
    for name, value in optional:
        if value:
            fields += (name, value)
    return fields


def decode(fields: Mapping[bytes, bytes]) -> QueuedMutation:
    """Read an entry's fields.

    Raises:
        EntryDamaged: a field is missing or has no value that `encode` writes.
    """
    try:
        return QueuedMutation(
            collection_uid=fields[b"u"].decode(),
            id=fields[b"i"].decode(),
            kind=Kind(fields[b"k"].decode()),
            version=int(fields[b"v"]),
            submit_time_ms=int(fields[b"t"]),
            job_id=fields.get(b"j", b"").decode(),
            model_fingerprint=fields.get(b"f", b"").decode(),
            image=fields.get(b"b", b""),
            metadata=fields.get(b"m", b""),
            duplicate_policy=int(fields.get(b"p", 0)),
            keep_metadata=fields.get(b"s") == b"1",
            twinned=fields.get(b"c") == b"1",
            thumbnail_side_px=int(fields.get(b"w", 0)),
            guard=fields.get(b"g", b""),
            traceparent=fields.get(b"x", b"").decode(),
            further_images=_further_images(fields),
            named_models=tuple(
                (str(name), str(model)) for name, model in json.loads(fields.get(b"y", b"[]"))
            ),
            request_id=fields.get(b"q", b"").decode(),
        )
    except (KeyError, ValueError) as error:
        raise EntryDamaged from error


def _further_images(fields: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    images: list[bytes] = []
    while (image := fields.get(b"b%d" % (len(images) + 1))) is not None:
        images.append(image)
    return tuple(images)


def counted_bytes(fields: Mapping[bytes, bytes]) -> int:
    """Return the bytes that the entry was counted with when it was queued.

    It is 0 for an entry that does not say.
    """
    value = fields.get(b"n", b"0")
    return int(value) if value.isdigit() else 0


def check_job_id(job_id: str) -> str:
    """Return `job_id`, which may be empty.

    Raises:
        InvalidField: it has another form than the contract allows.
    """
    if job_id and not _JOB_ID.match(job_id):
        raise InvalidField("job_id", 'use up to 64 letters, digits, "_", "-" or "."')
    return job_id


def check_followed(job_id: str, *, tenant: bool) -> str:
    """Return the name of a job to follow: a caller's own or, without a `tenant`, that of
    somebody's who has one.

    Raises:
        InvalidField: it is empty, or has another form.
    """
    if not job_id:
        raise InvalidField("job_id", "name a job")
    if not tenant and _TENANTS_JOB.match(job_id):
        return job_id
    return check_job_id(job_id)


def check_stream_id(text: str, *, field: str) -> str:
    """Return `text` if it has the form of a stream id, such as "1700000000000-0".

    Raises:
        InvalidField: it has not.
    """
    if not is_stream_id(text):
        raise InvalidField(field, "is none that this service gave out")
    return text


def is_stream_id(text: str) -> bool:
    """Say whether `text` has the form of a stream id."""
    return _STREAM_ID.match(text) is not None and all(int(part) < 2**64 for part in text.split("-"))
