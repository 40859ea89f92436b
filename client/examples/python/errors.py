"""What a failed call says besides its code: the standard error model, in a trailer."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2, status_pb2


@dataclass
class Failure:
    """`reason` is a name of `ErrorReason`, empty where the service was not reached.

    `retry_ms` says when to try again; None where that would not help.
    """

    code: str
    reason: str = ""
    field: str = ""
    retry_ms: float | None = None


def failure_of(error: grpc.RpcError) -> Failure:
    """Read the details of an error."""
    failure = Failure(code=error.code().name)
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            failure.reason = info.reason
        elif detail.Unpack(request):
            failure.field = request.field_violations[0].field
        elif detail.Unpack(retry):
            failure.retry_ms = retry.retry_delay.ToNanoseconds() / 1e6
    return failure
