"""A status that grpc.aio lost is no fault of the service."""

from __future__ import annotations

import grpc

from lookalike.wire.errors import Reason
from lookalike.wire.status import LOST_STATUS, from_rpc_error


def _failed(details: str) -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, nothing, nothing, details)


def test_a_stream_that_broke_during_a_write_may_be_opened_again() -> None:
    error = from_rpc_error(_failed(LOST_STATUS))
    assert error.retryable
    assert error.reason is Reason.NOT_READY


def test_other_internal_failures_stay_what_they_are() -> None:
    error = from_rpc_error(_failed("something else"))
    assert not error.retryable
    assert error.reason is Reason.INTERNAL
