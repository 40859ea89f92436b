"""What is submitted, and what is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lookalike.serving.queue.entries import Kind
from lookalike.wire.errors import LookalikeError
from search_service.domain.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image, or the reference of one; `field` is its path in the request."""

    image: bytes
    image_uri: str
    field: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who sees and changes only what is its own.

    `mark` is what its jobs are kept apart by, `guard` the values that its items hold, a
    serialised `google.protobuf.Struct`; `owns` says of an item's metadata whether it is one.
    """

    mark: str
    guard: bytes
    owns: Callable[[Metadata], bool]


@dataclass(frozen=True, slots=True)
class Submission:
    """A mutation as it came: an upload has an image or the reference of one.

    `metadata` is a serialised `google.protobuf.Struct` that was checked already,
    `duplicate_policy` a number of `lookalike.v1.DuplicatePolicy`, 0 for the collection's.
    With `keep_metadata` what is stored stays. `tenant` says whose it is, None: nobody's.
    `further` are more pictures of an upload's item.
    """

    collection: str
    kind: Kind
    id: str
    job_id: str = ""
    image: bytes = b""
    image_uri: str = ""
    metadata: bytes = b""
    duplicate_policy: int = 0
    keep_metadata: bool = False
    further: tuple[Picture, ...] = ()
    tenant: Tenant | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A submission, or what is wrong with it, under the caller's number."""

    request_id: int
    submission: Submission | LookalikeError


@dataclass(frozen=True, slots=True)
class Answer:
    """The version of an accepted mutation, or why it was not accepted."""

    request_id: int
    outcome: int | LookalikeError
