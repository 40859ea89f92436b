"""What the contract bounds: numbers, choices, and how much one request holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from google.protobuf.message import Message

from lookalike.wire.channel import MAX_MESSAGE_BYTES
from lookalike.wire.errors import InvalidField, LimitExceeded
from lookalike_client.metadata_values import described, quoted

T = TypeVar("T")

# The contract's bound on ids, updates and failures in one request.
_MAX_BATCH = 1000
# Of one item: leaves room for what stands around it in a message.
_MAX_ITEM_BYTES = MAX_MESSAGE_BYTES - 1024
# Requests of many items stay well below.
MAX_REQUEST_BYTES = 32 * 1024 * 1024


def not_negative(number: int, field: str, *, bits: int = 32) -> int:
    """Return `number`, which the contract holds unsigned in so many bits."""
    if not 0 <= number < 2**bits:
        raise InvalidField(field, f"must not be negative or above {2**bits - 1:,}, got {number}")
    return number


def choose(field: str, name: str, table: Mapping[str, T]) -> T:
    """Return what `table` holds under `name`.

    Raises:
        InvalidField: there is no such choice; the message names those there are.
    """
    try:
        return table[name]
    except KeyError as error:
        raise InvalidField(
            field, f"must be one of {', '.join(filter(None, table))}; got {name!r}"
        ) from error


def parts(values: Sequence[T], size_of: Callable[[T], int] = lambda _: 0) -> Iterator[Sequence[T]]:
    """Yield `values` in pieces that one request may hold, by number and by bytes."""
    piece: list[T] = []
    size = 0
    for value in values:
        more = size_of(value)
        if piece and (len(piece) == _MAX_BATCH or size + more > MAX_REQUEST_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(value)
        size += more
    if piece:
        yield piece


@contextmanager
def naming(item_id: str) -> Iterator[None]:
    """Put the id of an item before what is wrong with it; let nothing else out.

    Raises:
        InvalidField: a value is wrong, or of a kind that a message does not take.
    """
    try:
        yield
    except InvalidField as error:
        told = f"item {quoted(item_id)}: {error.message}"
        raise type(error)(field=error.field, message=told) from error
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # What protobuf, and values of the caller's own kinds, raise.
        told = f"item {quoted(item_id)}: holds a value of a wrong kind ({error})"
        raise InvalidField("items", " ".join(told.split())) from error


def check_id(item_id: object) -> None:
    """Check what every id is.

    Raises:
        InvalidField: it is no text, or none that UTF-8 has.
    """
    if not isinstance(item_id, str):
        raise InvalidField("id", f"must be a string, got {type(item_id).__name__}")
    try:
        item_id.encode()
    except UnicodeEncodeError as error:
        raise InvalidField("id", "is no text that UTF-8 has") from error


def check_size(message: Message) -> None:
    """Check that the message of one item can be sent.

    Raises:
        LimitExceeded: it is larger than the contract's messages.
    """
    size = message.ByteSize()
    if size > _MAX_ITEM_BYTES:
        raise LimitExceeded(
            "items", f"takes {size:,} bytes; at most {_MAX_ITEM_BYTES:,} fit in a message"
        )


def id_of(item: object) -> str:
    """Return the id of what a caller handed in as an item, as far as it has one."""
    found = getattr(item, "id", "")
    return found if isinstance(found, str) else described(found)
