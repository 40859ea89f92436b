"""The errors that callers are meant to see.

Domain code raises a subclass of `LookalikeError`; `lookalike.wire.status` turns
it into a gRPC status. Anything else that escapes is a fault of ours: it reaches
the caller as INTERNAL with a fixed text and the log with the request id.

    LookalikeError
    ├── InvalidField          a value outside its range or form (names the field)
    │   ├── LimitExceeded     a documented size limit
    │   ├── DimensionMismatch
    │   ├── VectorNotFinite
    │   ├── FilterInvalid     with the position in a text expression
    │   ├── PageTokenInvalid
    │   ├── ImageUnreadable
    │   ├── ImageTooLarge
    │   ├── ReferenceInvalid
    │   └── SnapshotInvalid
    ├── NotFound              COLLECTION_, ITEM_, MODEL_ or SNAPSHOT_NOT_FOUND
    ├── AlreadyExists
    ├── Precondition          MODEL_MISMATCH, DUPLICATE_REJECTED
    ├── Exhausted             OVERLOADED, DISK_FULL (with a retry delay)
    ├── Unavailable           EMBEDDER_, QUEUE_, PARTITION_UNAVAILABLE, NOT_READY, STORE_FAILED,
    │                         INGEST_LOST
    ├── Unsupported           not offered on a cluster
    ├── StoreDamaged          no later attempt can succeed
    ├── Unauthenticated       no API key, or none that is known
    ├── PermissionDenied      the API key does not allow it
    └── DeadlineExceeded
"""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """`lookalike.v1.ErrorReason` without its prefix; the numbers are the same."""

    INVALID_FIELD = 1
    IMAGE_UNREADABLE = 2
    IMAGE_TOO_LARGE = 3
    DIMENSION_MISMATCH = 4
    VECTOR_NOT_FINITE = 5
    MODEL_MISMATCH = 6
    COLLECTION_NOT_FOUND = 7
    COLLECTION_EXISTS = 8
    ITEM_NOT_FOUND = 9
    FILTER_INVALID = 10
    OVERLOADED = 11
    DISK_FULL = 12
    EMBEDDER_UNAVAILABLE = 13
    QUEUE_UNAVAILABLE = 14
    NOT_READY = 15
    DEADLINE_EXCEEDED = 16
    MODEL_NOT_FOUND = 17
    INTERNAL = 18
    PAGE_TOKEN_INVALID = 19
    STORE_FAILED = 20
    LIMIT_EXCEEDED = 21
    REFERENCE_INVALID = 22
    DUPLICATE_REJECTED = 23
    SNAPSHOT_NOT_FOUND = 24
    SNAPSHOT_INVALID = 25
    INGEST_LOST = 26
    STORE_DAMAGED = 27
    UNAUTHENTICATED = 40
    PERMISSION_DENIED = 41
    UNSUPPORTED = 50
    PARTITION_UNAVAILABLE = 51


class LookalikeError(Exception):
    """An expected failure with a text that says what to change.

    `message` is shown to callers: it holds no path, address or internal state.
    """

    reason: Reason

    def __init__(
        self,
        message: str,
        *,
        reason: Reason,
        field: str = "",
        retry_delay_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.field = field
        self.retry_delay_s = retry_delay_s

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.message, dict(self.__dict__))

    @property
    def retryable(self) -> bool:
        """Whether the same request can succeed later, unchanged."""
        return isinstance(self, Exhausted | Unavailable)


def _again(kind: type[LookalikeError], message: str, state: dict[str, object]) -> LookalikeError:
    """Make an error that came from another process."""
    error = kind.__new__(kind, message)
    error.__dict__.update(state)
    return error


class InvalidField(LookalikeError):
    """A field has a value that no later attempt can make good.

    Each subclass has a `reason` of its own, and can be made of `field` and
    `message` by name: so `lookalike.wire.status` makes it again from an answer.
    """

    reason = Reason.INVALID_FIELD

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, reason=self.reason, field=field)


class LimitExceeded(InvalidField):
    """A message, batch or object passes a documented size limit."""

    reason = Reason.LIMIT_EXCEEDED


class DimensionMismatch(InvalidField):
    """A vector has another length than the collection's dimension."""

    reason = Reason.DIMENSION_MISMATCH

    @classmethod
    def between(cls, field: str, *, got: int, want: int) -> DimensionMismatch:
        """Return the error for a vector of `got` components where `want` are due."""
        return cls(field, f"the vector has {got} dimensions; the collection has {want}")


class VectorNotFinite(InvalidField):
    """A vector holds NaN or infinity, or is all zeros."""

    reason = Reason.VECTOR_NOT_FINITE


class FilterInvalid(InvalidField):
    """A filter cannot be parsed or passes a limit."""

    reason = Reason.FILTER_INVALID


class PageTokenInvalid(InvalidField):
    """A page token was not issued here, or for another request."""

    reason = Reason.PAGE_TOKEN_INVALID

    def __init__(
        self,
        field: str = "page_token",
        message: str = "the page token is not one of this listing; start again without it",
    ) -> None:
        super().__init__(field, message)


class ImageUnreadable(InvalidField):
    """The bytes are not a picture in a supported format, or are damaged."""

    reason = Reason.IMAGE_UNREADABLE

    def __init__(self, message: str, *, field: str = "image") -> None:
        super().__init__(field, message)


class ImageTooLarge(InvalidField):
    """A picture passes a limit on bytes, pixels or aspect ratio."""

    reason = Reason.IMAGE_TOO_LARGE

    def __init__(self, message: str, *, field: str = "image") -> None:
        super().__init__(field, message)


class ReferenceInvalid(InvalidField):
    """A referenced image is not allowed or cannot be read."""

    reason = Reason.REFERENCE_INVALID

    def __init__(self, message: str, *, field: str = "image_uri") -> None:
        super().__init__(field, message)


class SnapshotInvalid(InvalidField):
    """A snapshot is damaged, not one of ours, or of another format."""

    reason = Reason.SNAPSHOT_INVALID

    def __init__(self, message: str, *, field: str = "chunk") -> None:
        super().__init__(field, message)


class NotFound(LookalikeError):
    """What was named is not there."""


class AlreadyExists(LookalikeError):
    """What was to be made is there already."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, reason=Reason.COLLECTION_EXISTS, field=field)


class Precondition(LookalikeError):
    """The request is well formed but does not fit what it is about."""


class Exhausted(LookalikeError):
    """A bound is reached; try again after `retry_delay_s`."""

    def __init__(
        self,
        message: str,
        *,
        reason: Reason = Reason.OVERLOADED,
        retry_delay_s: float = 1.0,
    ) -> None:
        super().__init__(message, reason=reason, retry_delay_s=retry_delay_s)


class Unavailable(LookalikeError):
    """Something that the request needs is away."""

    def __init__(self, message: str, *, reason: Reason, retry_delay_s: float | None = None) -> None:
        super().__init__(message, reason=reason, retry_delay_s=retry_delay_s)


class StoreDamaged(LookalikeError):
    """What is asked for is damaged on the disk, or would be written beside it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.STORE_DAMAGED)


class Unsupported(LookalikeError):
    """A partitioned collection does not offer it."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message, reason=Reason.UNSUPPORTED, field=field)


class Unauthenticated(LookalikeError):
    """The call carries no API key, or one that is unknown, expired or revoked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.UNAUTHENTICATED)


class PermissionDenied(LookalikeError):
    """The API key does not allow the call, the collection or the item."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message, reason=Reason.PERMISSION_DENIED, field=field)


class DeadlineExceeded(LookalikeError):
    """The caller's time ran out before the work was done."""

    def __init__(self, message: str = "the deadline passed before the work was done") -> None:
        super().__init__(message, reason=Reason.DEADLINE_EXCEEDED)
