"""Errors as gRPC statuses, and back: the one table.

A failed RPC carries `google.rpc.ErrorInfo` (reason and domain), `BadRequest`
where a field is to blame, and `RetryInfo` where a later attempt can succeed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from lookalike.v1 import errors_pb2
from lookalike.wire import errors, request_ids
from lookalike.wire.errors import InvalidField, LookalikeError, Reason

if TYPE_CHECKING:
    from google.protobuf.message import Message

DOMAIN = "lookalike.v1"
INTERNAL_MESSAGE = "internal error; the service's log has it under the request id"

_CODES: dict[Reason, grpc.StatusCode] = {
    Reason.INVALID_FIELD: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.IMAGE_UNREADABLE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.IMAGE_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.DIMENSION_MISMATCH: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.VECTOR_NOT_FINITE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.MODEL_MISMATCH: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.COLLECTION_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.COLLECTION_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Reason.ITEM_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.FILTER_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.DISK_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.EMBEDDER_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.QUEUE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
    Reason.PAGE_TOKEN_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.STORE_FAILED: grpc.StatusCode.UNAVAILABLE,
    Reason.LIMIT_EXCEEDED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.REFERENCE_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.DUPLICATE_REJECTED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.SNAPSHOT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.SNAPSHOT_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.INGEST_LOST: grpc.StatusCode.UNAVAILABLE,
    Reason.STORE_DAMAGED: grpc.StatusCode.DATA_LOSS,
    Reason.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.UNSUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    Reason.PARTITION_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}

# What grpc.aio puts in the place of the service's own status when that comes in
# while a message is being sent. It says nothing: the stream broke.
LOST_STATUS = "Internal error from Core"

_INVALID: dict[Reason, Callable[..., InvalidField]] = {
    kind.reason: kind
    for kind in (
        errors.LimitExceeded,
        errors.DimensionMismatch,
        errors.VectorNotFinite,
        errors.FilterInvalid,
        errors.PageTokenInvalid,
        errors.ImageUnreadable,
        errors.ImageTooLarge,
        errors.ReferenceInvalid,
        errors.SnapshotInvalid,
    )
}


def code_of(reason: Reason) -> grpc.StatusCode:
    """Return the canonical code under which `reason` travels."""
    return _CODES[reason]


async def abort(
    context: grpc.aio.ServicerContext[object, object], error: LookalikeError
) -> NoReturn:
    """End the RPC with `error` as its status and details, under the id of the request."""
    status = rpc_status.to_status(to_status(error))
    await context.abort(
        status.code, status.details, (*status.trailing_metadata, *request_ids.carried())
    )


def to_status(error: LookalikeError) -> status_pb2.Status:
    """Return the `google.rpc.Status` of `error`."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=f"ERROR_REASON_{error.reason.name}", domain=DOMAIN)
    ]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_delay_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_delay_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    text = f"{error.field}: {error.message}" if error.field else error.message
    number: int = code_of(error.reason).value[0]
    return status_pb2.Status(code=number, message=text, details=packed)


def to_item_error(error: LookalikeError) -> errors_pb2.ItemError:
    """Return `error` in its form for a stream or batch."""
    return errors_pb2.ItemError(
        reason=errors_pb2.ErrorReason.ValueType(int(error.reason)),
        message=error.message,
        field=error.field,
        retryable=error.retryable,
    )


def from_item_error(message: errors_pb2.ItemError) -> LookalikeError:
    """Return the error that `message` carries."""
    return _build(_reason_of(message.reason), message.message, message.field, None)


def from_rpc_error(error: grpc.RpcError) -> LookalikeError:
    """Return the error that a failed RPC carries.

    A failure without our details (no server, a proxy's answer) is judged by its
    code: UNAVAILABLE becomes `Unavailable(NOT_READY)`.
    """
    code: grpc.StatusCode = error.code()
    text: str = error.details() or ""
    status = _status_of(error)
    if status is not None:
        reason, field, delay_s = _read_details(status)
        if reason is not None:
            message = text.removeprefix(f"{field}: ") if field else text
            if text == INTERNAL_MESSAGE and (request_id := _trailing(error, request_ids.KEY)):
                message = f"{text} {request_id!s}"
            return _build(reason, message, field, delay_s)
    return _from_code(code, text)


def _status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    value = _trailing(error, "grpc-status-details-bin")
    return status_pb2.Status.FromString(value) if isinstance(value, bytes) else None


def _trailing(error: grpc.RpcError, wanted: str) -> str | bytes | None:
    pairs: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()  # type: ignore[assignment]  # stub is wrong: it is a tuple of pairs
    return next((value for key, value in pairs if key == wanted), None)


def _read_details(status: status_pb2.Status) -> tuple[Reason | None, str, float | None]:
    reason: Reason | None = None
    field = ""
    delay_s: float | None = None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        bad = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            name = info.reason.removeprefix("ERROR_REASON_")
            reason = Reason.__members__.get(name, Reason.INTERNAL)
        elif detail.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
        elif detail.Unpack(retry):
            delay_s = retry.retry_delay.ToNanoseconds() / 1e9
    return reason, field, delay_s


def _reason_of(number: int) -> Reason:
    try:
        return Reason(number)
    except ValueError:
        return Reason.INTERNAL  # a newer server's reason: a fault, as far as we can tell


def _from_code(code: grpc.StatusCode, text: str) -> LookalikeError:
    if code is grpc.StatusCode.INTERNAL and text == LOST_STATUS:
        return errors.Unavailable(
            "the stream broke while it was written to", reason=Reason.NOT_READY
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        return errors.Unavailable(text or "the service cannot be reached", reason=Reason.NOT_READY)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded()
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.Exhausted(text)
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidField("", text)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.Unsupported(text)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return errors.Unauthenticated(text)
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return errors.PermissionDenied(text)
    return LookalikeError(f"{code.name}: {text}", reason=Reason.INTERNAL)


def _build(reason: Reason, message: str, field: str, delay_s: float | None) -> LookalikeError:
    code = code_of(reason)
    error: LookalikeError
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            error = _INVALID.get(reason, InvalidField)(field=field, message=message)
        case grpc.StatusCode.NOT_FOUND:
            error = errors.NotFound(message, reason=reason)
        case grpc.StatusCode.ALREADY_EXISTS:
            error = errors.AlreadyExists(field, message)
        case grpc.StatusCode.FAILED_PRECONDITION:
            error = errors.Precondition(message, reason=reason)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            error = errors.Exhausted(message, reason=reason)
        case grpc.StatusCode.UNAVAILABLE:
            error = errors.Unavailable(message, reason=reason)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            error = errors.DeadlineExceeded(message)
        case grpc.StatusCode.DATA_LOSS:
            error = errors.StoreDamaged(message)
        case grpc.StatusCode.UNIMPLEMENTED:
            error = errors.Unsupported(message)
        case grpc.StatusCode.UNAUTHENTICATED:
            error = errors.Unauthenticated(message)
        case grpc.StatusCode.PERMISSION_DENIED:
            error = errors.PermissionDenied(message)
        case _:
            error = LookalikeError(message, reason=reason)
    error.reason, error.field = reason, field
    if delay_s is not None:
        error.retry_delay_s = delay_s
    return error
