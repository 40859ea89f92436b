"""Opaque page tokens that are good for one listing only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from lookalike.v1 import collection_pb2
from lookalike.wire.errors import PageTokenInvalid
from search_service import limits
from search_service.domain.items import Place

T = TypeVar("T")

_DIGEST_BYTES = 12


def page_by_name(
    scope: bytes,
    everything: Sequence[T],
    name_of: Callable[[T], str],
    request: collection_pb2.ListCollectionsRequest | collection_pb2.ListAliasesRequest,
) -> tuple[Sequence[T], str]:
    """Return the page of `everything`, sorted by name, and the token of the next one.

    Raises:
        InvalidField: no such page size.
        PageTokenInvalid: the token is not one of this listing.
    """
    page_size = limits.page_size(request.page_size)
    start = bisect_right(everything, read_token(scope, request.page_token), key=name_of)
    page = everything[start : start + page_size]
    more = start + page_size < len(everything)
    return page, make_token(scope, name_of(page[-1])) if more else ""


def scope_of(kind: str, uid: str = "", *conditions: Message) -> bytes:
    """Return what a token is bound to: the listing, its collection, filter and order."""
    texts = [condition.SerializeToString(deterministic=True) for condition in conditions]
    lengths = ",".join(str(len(text)) for text in texts)
    return b"\0".join((kind.encode(), uid.encode(), lengths.encode(), *texts))


def make_place_token(scope: bytes, place: Place) -> str:
    """Return the token for the page after a place in an ordered list."""
    return make_token(scope, json.dumps([place.value, place.id]))


def read_place(scope: bytes, token: str) -> Place | None:
    """Return the place of a token; None for an empty one.

    Raises:
        PageTokenInvalid: the token is not one of this listing.
    """
    last = read_token(scope, token)
    if not last:
        return None
    # The digest shows that it was made here; `json` keeps 1.0, true and "1" apart.
    value, item_id = json.loads(last)
    return Place(value, item_id)


def make_token(scope: bytes, last: str) -> str:
    """Return the token for the page after `last`."""
    return seal(scope, last.encode())


def read_token(scope: bytes, token: str) -> str:
    """Return the `last` of a token; "" for an empty one.

    Raises:
        PageTokenInvalid: the token is not one of this listing.
    """
    if not token:
        return ""
    try:
        return unseal(scope, token).decode()
    except UnicodeDecodeError as error:
        raise PageTokenInvalid from error


def seal(scope: bytes, content: bytes) -> str:
    """Return a token that holds `content` and is good for `scope` only."""
    return base64.urlsafe_b64encode(_digest(scope, content) + content).decode().rstrip("=")


def unseal(scope: bytes, token: str) -> bytes:
    """Return what a token holds.

    Raises:
        PageTokenInvalid: the token was not made for `scope`, or is damaged.
    """
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise PageTokenInvalid from error
    content = sealed[_DIGEST_BYTES:]
    # Some texts differ from the token in bits that no byte holds.
    if not content or token != seal(scope, content):
        raise PageTokenInvalid
    return content


def _digest(scope: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(
        key, digest_size=_DIGEST_BYTES, key=hashlib.sha256(scope).digest()
    ).digest()
