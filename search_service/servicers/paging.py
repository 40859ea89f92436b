"""Opaque page tokens that are good for one listing only."""

from __future__ import annotations

import base64
import binascii
import hashlib

from google.protobuf.message import Message

from lookalike.wire.errors import PageTokenInvalid

_DIGEST_BYTES = 12


def scope_of(kind: str, uid: str = "", condition: Message | None = None) -> bytes:
    """Return what a token is bound to: the listing, its collection and filter."""
    text = condition.SerializeToString(deterministic=True) if condition is not None else b""
    return b"\0".join((kind.encode(), uid.encode(), text))


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
