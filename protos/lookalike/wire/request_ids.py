"""The id of the request that is worked for: in each line of the log, in each call that is
made for it, and in what it puts into the queue.

A caller gives one as the metadata `x-request-id`; a service makes one for a call that has
none, and returns it with the end of the call.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lookalike.wire.errors import InvalidField

KEY = "x-request-id"

# As they may stand in gRPC's metadata, and in a line of a log.
_FORM = re.compile(r"[ -~]{1,128}\Z")

_current: ContextVar[str] = ContextVar("lookalike_request_id", default="")


def current() -> str:
    """Return the id of the request that is worked for; "" for none."""
    return _current.get()


def enter(request_id: str) -> None:
    """Work for a request to the end of the task at hand."""
    _current.set(usable(request_id))


def usable(request_id: str) -> str:
    """Return an id that came from elsewhere, or "" for one of another form."""
    return request_id if _FORM.match(request_id) else ""


@contextmanager
def within(request_id: str) -> Iterator[None]:
    """Work for a request, or with "" for none, in this block.

    Raises:
        InvalidField: the id has another form.
    """
    if request_id and not _FORM.match(request_id):
        raise InvalidField("request_id", "use up to 128 characters from space to ~ of ASCII")
    token = _current.set(request_id)
    try:
        yield
    finally:
        _current.reset(token)


def of_call(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """Return the id that a caller gave, or a new one."""
    for key, value in metadata or ():
        if key == KEY and isinstance(value, str) and _FORM.match(value):
            return value
    return uuid.uuid4().hex


def carried() -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call that is made for the request at hand."""
    request_id = _current.get()
    return ((KEY, request_id),) if request_id else ()
