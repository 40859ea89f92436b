"""What the fake service's methods share: errors as statuses, pages, checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_status import rpc_status

from lookalike.v1 import ingest_pb2, search_pb2
from lookalike.wire.errors import InvalidField, LimitExceeded, LookalikeError, PageTokenInvalid
from lookalike.wire.status import to_status

T = TypeVar("T")
Servicer = TypeVar("Servicer")
Request = TypeVar("Request")
Response = TypeVar("Response")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_MAX_ID_BYTES = 512
_MOST_VECTORS = 64


def unary(
    method: Callable[[Servicer, Request], Response],
) -> Callable[[Servicer, Request, grpc.ServicerContext], Response]:
    """Let a method raise a `LookalikeError`, which becomes the call's status."""

    @wraps(method)
    def answer(self: Servicer, request: Request, context: grpc.ServicerContext) -> Response:
        try:
            return method(self, request)
        except LookalikeError as error:
            _end(context, error)
            raise

    return answer


def streaming(
    method: Callable[[Servicer, Request], Iterator[Response]],
) -> Callable[[Servicer, Request, grpc.ServicerContext], Iterator[Response]]:
    """Let a method that yields answers raise a `LookalikeError`, as `unary` does."""

    @wraps(method)
    def answer(
        self: Servicer, request: Request, context: grpc.ServicerContext
    ) -> Iterator[Response]:
        try:
            yield from method(self, request)
        except LookalikeError as error:
            _end(context, error)
            raise

    return answer


def page_of(values: Sequence[T], size: int, token: str) -> tuple[Sequence[T], str]:
    """Return a page of `values` and the token of the next one, "" at the end.

    A token counts what came before: a list that changes meanwhile shifts.

    Raises:
        InvalidField: no such size or token.
    """
    if size > _LARGEST_PAGE:
        raise LimitExceeded("page_size", f"must be 1 to {_LARGEST_PAGE}, got {size}")
    if token and not token.isdecimal():
        raise PageTokenInvalid
    start = int(token or "0")
    end = start + (size or _DEFAULT_PAGE)
    return values[start:end], str(end) if end < len(values) else ""


def check_count(field: str, count: int, most: int) -> None:
    """Check that a list holds 1 to `most` elements.

    Raises:
        InvalidField: it does not.
    """
    if count > most:
        raise LimitExceeded(field, f"at most {most:,} are taken at once, got {count:,}")
    if not count:
        raise InvalidField(field, "at least 1 is needed, got 0")


def check_further(field: str, count: int, where: str) -> None:
    """Check that an item has at most 64 vectors or pictures, its first included.

    Raises:
        LimitExceeded: it has more.
    """
    if count >= _MOST_VECTORS:
        raise LimitExceeded(
            f"{where}{field}", f"at most {_MOST_VECTORS - 1} are taken, got {count:,}"
        )


def check_id(item_id: str, field: str) -> None:
    """Check that an item's id has 1 to 512 bytes and no control characters.

    Raises:
        InvalidField: it has not.
    """
    if len(item_id.encode()) > _MAX_ID_BYTES:
        raise LimitExceeded(field, f"an id holds at most {_MAX_ID_BYTES} bytes of UTF-8")
    if not item_id or _CONTROL.search(item_id):
        raise InvalidField(field, "an item needs an id without control characters")


def check_kept(item: search_pb2.VectorUpsert | ingest_pb2.ImageUpload, where: str) -> None:
    """Check that what keeps the stored metadata brings none.

    Raises:
        InvalidField: it brings some.
    """
    if item.keep_metadata and item.metadata.fields:
        raise InvalidField(f"{where}metadata", "must be empty where keep_metadata is set")


def check_name(name: str, field: str) -> None:
    """Check the form of a collection's or alias's name.

    Raises:
        InvalidField: it has another form.
    """
    if not _NAME.fullmatch(name):
        raise InvalidField(field, 'must be a letter or digit, then letters, digits, "_", "-", "."')


def now() -> Timestamp:
    """Return the present time."""
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp


def _end(context: grpc.ServicerContext, error: LookalikeError) -> None:
    context.abort_with_status(rpc_status.to_status(to_status(error)))
