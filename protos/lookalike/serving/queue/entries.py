"""The ingestion queue as both of its ends see it: keys, entries, job outcomes.

The queue is one Redis stream with one consumer group. This module knows the
names and the bytes, and no Redis client. All keys share one hash tag, so that
the scripts that touch several of them also run on a Redis Cluster.

    {lookalike}:queue             stream of accepted mutations that have not ended
    {lookalike}:queue-bytes       counted bytes in it
    {lookalike}:attempts          hash: entry id -> times that it was tried alone
    {lookalike}:versions:<uid>    sorted set of a collection's versions that are
                                  queued or dead: tombstones above the least stay
    {lookalike}:dead              stream that lists the mutations given up
    {lookalike}:dead-bytes        counted bytes kept for trying them again
    {lookalike}:dead:<entry id>   hash: the entry itself, as it stood in the queue
    {lookalike}:job:<job>         hash: accepted, ended
    {lookalike}:job:<job>:events  stream of outcomes
    {lookalike}:worker:<name>     hash: a worker's sign of life, with a time to live
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lookalike.wire.errors import InvalidField, Reason, Unavailable

GROUP = "workers"

URL_FORM = 'must be of the form "redis://user:password@host:6379/0", or "rediss://…" for TLS'

# What an entry costs in Redis besides image and metadata: small fields, stream
# node, pending entry, version. Measured on Valkey 9.1.2 with 20,000 deletions:
# 131 bytes each when queued, 263 when delivered.
ENTRY_OVERHEAD_BYTES = 264

# Streams with entries_read and lag, XAUTOCLAIM with the third element, and
# scripts with flags came with Redis 7.0; every Valkey has them.
LEAST_MAJOR_VERSION = 7

_JOB_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
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
    the encoded file; `model_fingerprint` the collection's model. The same
    version always stands for the same content.
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

    @property
    def counted_bytes(self) -> int:
        """What the entry is taken to cost in Redis."""
        return (
            len(self.image)
            + len(self.metadata)
            + len(self.id.encode())
            + len(self.job_id)
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
        (b"m", mutation.metadata),
        (b"b", mutation.image),
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
        )
    except (KeyError, ValueError) as error:
        raise EntryDamaged from error


def counted_bytes(fields: Mapping[bytes, bytes]) -> int:
    """Return the bytes that the entry was counted with when it was queued.

    The number travels with the entry, so that both ends count the same even
    when one of them is of another release.
    """
    value = fields.get(b"n", b"0")
    return int(value) if value.isdigit() else 0


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """Names of the keys; `prefix` lets several systems share a server."""

    prefix: str = "lookalike"

    def _key(self, name: str) -> str:
        return f"{{{self.prefix}}}:{name}"

    @property
    def stream(self) -> str:
        """Stream of accepted mutations."""
        return self._key("queue")

    @property
    def stream_bytes(self) -> str:
        """Counter of bytes in the queue."""
        return self._key("queue-bytes")

    @property
    def attempts(self) -> str:
        """Hash of attempts by entry id."""
        return self._key("attempts")

    @property
    def dead(self) -> str:
        """Stream that lists the mutations given up."""
        return self._key("dead")

    @property
    def dead_bytes(self) -> str:
        """Counter of bytes kept for trying again."""
        return self._key("dead-bytes")

    def dead_entry(self, entry_id: str) -> str:
        """Hash with the fields of an entry that was given up."""
        return self._key(f"dead:{entry_id}")

    def versions(self, collection_uid: str) -> str:
        """Sorted set of a collection's versions that are queued or dead."""
        return self._key(f"versions:{collection_uid}")

    def job(self, job_id: str) -> str:
        """Hash with the counters of a job."""
        return self._key(f"job:{job_id}")

    def job_events(self, job_id: str) -> str:
        """Stream with the outcomes of a job."""
        return self._key(f"job:{job_id}:events")

    def worker(self, name: str) -> str:
        """Hash with a worker's sign of life."""
        return self._key(f"worker:{name}")


def check_job_id(job_id: str) -> str:
    """Return `job_id`, which may be empty.

    Raises:
        InvalidField: it has another form than the contract allows.
    """
    if job_id and not _JOB_ID.match(job_id):
        raise InvalidField("job_id", 'use up to 64 letters, digits, "_", "-" or "."')
    return job_id


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


def check_server(info: Mapping[str, object]) -> None:
    """Check what INFO says about the server.

    Raises:
        Unavailable: it is too old, or throws entries away when memory is short.
    """
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    if int(version.split(".", maxsplit=1)[0]) < LEAST_MAJOR_VERSION:
        raise _unsuitable(f"the queue's server is Redis {version}: use Redis 7 or Valkey")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise _unsuitable(
            f"the queue's server evicts keys ({policy}): set maxmemory-policy to noeviction"
        )


def _unsuitable(message: str) -> Unavailable:
    return Unavailable(message, reason=Reason.QUEUE_UNAVAILABLE)
