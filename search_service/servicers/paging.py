"""Opaque page tokens that are good for one listing only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from google.protobuf.message import Message

from lookalike.wire.errors import PageTokenInvalid
from search_service.domain.items import Place

_DIGEST_BYTES = 12


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
    key = last.encode()
    return base64.urlsafe_b64encode(_digest(scope, key) + key).decode().rstrip("=")


def read_token(scope: bytes, token: str) -> str:
    """Return the `last` of a token; "" for an empty one.

    Raises:
        PageTokenInvalid: the token is not one of this listing.
    """
    if not token:
        return ""
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        key = content[_DIGEST_BYTES:]
        last = key.decode()
    except (binascii.Error, ValueError) as error:
        raise PageTokenInvalid from error
    if not last or content[:_DIGEST_BYTES] != _digest(scope, key):
        raise PageTokenInvalid
    return last


def _digest(scope: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(
        key, digest_size=_DIGEST_BYTES, key=hashlib.sha256(scope).digest()
    ).digest()
