"""What the web server is told."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from lookalike.wire.channel import MAX_IMAGE_BYTES
from lookalike_client import AsyncClient

# Makes the connection; called once, on the server's event loop.
Connect: TypeAlias = Callable[[], AsyncClient]

# The page's own requests but pictures: ids of a thousand items of 512 bytes, as JSON.
MAX_JSON_BYTES = 4 << 20
# Room for names and metadata beside an image, in a form or as base64.
MAX_BODY_BYTES = MAX_IMAGE_BYTES * 4 // 3 + (1 << 20)


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Where the server listens, whom it answers, and what it lets people do.

    `hosts` are the values of a Host header that are answered, in lower case; one without a
    port stands for any port. `token` opens the page and the API. With `api_keys` callers of
    the API send keys of the search service instead. `read_only` refuses all that changes
    anything.
    """

    port: int
    hosts: frozenset[str]
    token: str = field(repr=False)
    read_only: bool = False
    api_keys: bool = False
    collection: str = ""
    max_body_bytes: int = MAX_BODY_BYTES

    @property
    def cookie(self) -> str:
        """The name of the session's cookie: cookies of one host do not know ports."""
        return f"lookalike-{self.port}"

    @property
    def csrf_token(self) -> str:
        """What the page sends with each change: it can be read by the page alone."""
        return hmac.new(self.token.encode(), b"csrf", hashlib.sha256).hexdigest()


def loopback_hosts(port: int) -> frozenset[str]:
    """Return the names of this machine under which a browser on it reaches `port`."""
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
