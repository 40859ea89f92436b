"""Who is answered: host, origin, token and CSRF token, before anything is read.

A page of another site can make a browser send requests here. What it cannot do: name
another Host (DNS rebinding is refused by the allow-list), hide its Origin, read the CSRF
token, or have the cookie sent at all (SameSite=Strict).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike_client.web.answers import refusal
from lookalike_client.web.options import WebOptions

CSRF_HEADER = "x-lookalike-csrf"
API = "/api/"
_SAFE = frozenset({"GET", "HEAD"})
_METHODS = frozenset({"GET", "HEAD", "POST"})
# No inline script or style, nothing from elsewhere, and no string ever becomes HTML or code
# (trusted types). `blob:` shows the picture that was dropped on the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


# How long the rest of a body that is too large is read, and thrown away.
_DISCARD_S = 5.0


class BodyTooLargeError(Exception):
    """A body passed the limit while it was read."""


class Guard:
    """ASGI middleware: refuses what is not to be answered, and sets the headers of the rest."""

    def __init__(self, app: ASGIApp, options: WebOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there is no websocket here
            return
        headers = Headers(scope=scope)
        guarded = _Guarded(receive, send, self._options.max_body_bytes)
        answer = self._refuse(scope, headers) or self._let_in(scope)
        if answer is not None:
            if answer.status_code == 413 and "expect" not in headers:
                await guarded.discard()
            await answer(scope, receive, guarded.send)
            return
        try:
            await self._app(scope, guarded.receive, guarded.send)
        except BodyTooLargeError:
            if not guarded.started:
                await guarded.discard()
                await self._too_large()(scope, receive, guarded.send)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        method = scope["method"]
        if not self._is_ours(headers.get("host", "")):
            return refusal(
                403, "HOST_NOT_ALLOWED", "this name of the server is not allowed: --host"
            )
        if method not in _METHODS:
            return refusal(405, "METHOD_NOT_ALLOWED", "use GET or POST")
        origin = headers.get("origin")
        if origin is not None and not self._is_our_origin(origin):
            return refusal(403, "ORIGIN_NOT_ALLOWED", "requests of other sites are not answered")
        if headers.get("sec-fetch-site") == "cross-site" and method not in _SAFE:
            return refusal(403, "ORIGIN_NOT_ALLOWED", "requests of other sites are not answered")
        refused = self._authenticate(scope, headers)
        if refused is not None:
            return refused
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._options.max_body_bytes:
            return self._too_large()
        return None

    def _authenticate(self, scope: Scope, headers: Headers) -> Response | None:
        options = self._options
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if same(bearer, options.token):
                return None
            if options.api_keys and scope["path"].startswith(API):
                return None  # the search service says whether it knows the key
            return _stranger()
        if _asks_to_enter(scope) is not None:
            return None
        if not same(_cookie(headers, options.cookie), options.token):
            return _stranger()
        if scope["method"] in _SAFE or same(headers.get(CSRF_HEADER, ""), options.csrf_token):
            return None
        return refusal(403, "CSRF_TOKEN_MISSING", "load the page again")

    def _let_in(self, scope: Scope) -> Response | None:
        """Give the cookie to who comes with the token, and take it out of the address."""
        token = _asks_to_enter(scope)
        if token is None:
            return None
        if not same(token, self._options.token):
            return _stranger()
        answer = Response(status_code=303, headers={"location": "/"})
        answer.set_cookie(
            self._options.cookie, self._options.token, path="/", httponly=True, samesite="strict"
        )
        return answer

    def _is_ours(self, host: str) -> bool:
        host = host.lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return host in self._options.hosts or name in self._options.hosts

    def _is_our_origin(self, origin: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and self._is_ours(parts.netloc)

    def _too_large(self) -> Response:
        most = self._options.max_body_bytes
        return refusal(413, "LIMIT_EXCEEDED", f"a request has at most {most:,} bytes")


class _Guarded:
    """Counts the body that comes in, and sets headers on what goes out."""

    def __init__(self, receive: Receive, send: Send, most_bytes: int) -> None:
        self._receive, self._send = receive, send
        self._most_bytes = self._left_bytes = most_bytes
        self._ended = False
        self.started = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        self._left_bytes -= len(message.get("body", b""))
        if self._left_bytes < 0:
            raise BodyTooLargeError
        return message

    async def discard(self) -> None:
        """Read on for a while, so that the answer arrives.

        Who still sends when the connection is closed sees a reset and never the reason.
        """
        self._left_bytes = self._most_bytes
        with contextlib.suppress(TimeoutError, BodyTooLargeError):
            async with asyncio.timeout(_DISCARD_S):
                while not self._ended:
                    await self.receive()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def same(given: str, wanted: str) -> bool:
    """Compare secrets in a time that says nothing."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _asks_to_enter(scope: Scope) -> str | None:
    """Return the token of `GET /?token=…`; None for all other requests."""
    if scope["path"] != "/" or scope["method"] != "GET":
        return None
    given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    return given[0] if given else None


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _stranger() -> Response:
    return refusal(
        403,
        "TOKEN_MISSING",
        "open the link that `lookalike web` printed, or send its token as "
        "`Authorization: Bearer TOKEN`",
    )
