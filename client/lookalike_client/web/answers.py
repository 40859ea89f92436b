"""Answers as JSON, and failures with what a caller needs to mend them."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lookalike.wire.errors import InvalidField, LookalikeError
from lookalike.wire.status import code_of
from lookalike_client.web.options import MAX_JSON_BYTES

# The mapping of google.rpc.Code, but for what fails for the state of things: 409 says that
# better than 400.
_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
NDJSON = "application/x-ndjson"
# A call that is refused is so at once; one that is not may have nothing to say for long.
_REFUSED_WITHIN_S = 1.0


def answer(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `document` as JSON."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(body.encode(), status, headers, media_type="application/json")


def refusal(status: int, reason: str, message: str, field: str = "") -> Response:
    """Return a failure that is the web server's own."""
    return answer({"error": _failure(reason, message, field, retryable=False)}, status)


def failed(error: LookalikeError) -> Response:
    """Return a failure with its reason, the field that is to blame and the delay to retry."""
    headers = {}
    if error.retry_delay_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_delay_s))
    return answer({"error": told(error)}, _STATUSES.get(code_of(error.reason), 500), headers)


def told(error: LookalikeError) -> dict[str, Any]:
    """Return a failure as JSON."""
    document = _failure(error.reason.name, error.message, error.field, retryable=error.retryable)
    if error.retry_delay_s is not None:
        document["retry_delay_s"] = error.retry_delay_s
    return document


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer a failed call of the search service, for starlette."""
    assert isinstance(error, LookalikeError)
    return failed(error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what starlette itself refuses."""
    assert isinstance(error, HTTPException)
    reason = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "INVALID_FIELD")
    return refusal(error.status_code, reason, str(error.detail))


async def lines(documents: AsyncIterator[Mapping[str, Any]]) -> Response:
    """Return documents as they come, one a line; a failure after the start is the last one.

    One that comes soon, before there is a document, is the answer's own.
    """
    first = asyncio.create_task(_next(documents))
    await asyncio.wait([first], timeout=_REFUSED_WITHIN_S)
    if first.done() and isinstance(error := first.exception(), LookalikeError):
        return failed(error)

    async def texts() -> AsyncIterator[bytes]:
        try:
            document = await first
            while document is not None:
                yield json.dumps(document, ensure_ascii=False).encode() + b"\n"
                document = await _next(documents)
        except LookalikeError as error:
            yield json.dumps({"error": told(error)}, ensure_ascii=False).encode() + b"\n"
        finally:
            first.cancel()

    return StreamingResponse(texts(), media_type=NDJSON)


async def body_of(request: Request, most_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InvalidField: the body is none, or too large.
    """
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > most_bytes:
            raise InvalidField("body", f"has at most {most_bytes:,} bytes")
    try:
        document = json.loads(bytes(read)) if read else {}
    except (ValueError, RecursionError) as error:
        raise InvalidField("body", "is no JSON") from error
    if not isinstance(document, dict):
        raise InvalidField("body", "must be a JSON object")
    return document


async def _next(documents: AsyncIterator[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return await anext(documents, None)


def _failure(reason: str, message: str, field: str, *, retryable: bool) -> dict[str, Any]:
    return {"reason": reason, "message": message, "field": field, "retryable": retryable}
