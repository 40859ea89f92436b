"""Asks a Redis server that runs already whether it lets us in."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from lookalike_client.supervisor.errors import StartError

_URL_FORM = (
    "--redis must be a URL such as redis://127.0.0.1:6379/0 or redis://user:password@host:6379/0"
)
_ANSWER_S = 5.0
_LOOK_AGAIN_S = 0.2
_MOST_ANSWER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls: bool = False

    @classmethod
    def of(cls, url: str) -> Self:
        try:
            parts = urlsplit(url)
            port = parts.port or 6379
        except ValueError:
            raise StartError(_URL_FORM) from None
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise StartError(_URL_FORM)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, port, user, password, parts.scheme == "rediss")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class _Refused(Exception):
    """The server's answer is an error."""


def check(url: str, *, wait_s: float) -> str:
    """Return the address ("host:port") in a URL once the server there answers.

    One that nothing answers for, or that still loads, is waited for up to `wait_s`.

    Raises:
        StartError: the URL has another form, nothing answers, or we are not let in;
            the password is in no message.
    """
    target = _Target.of(url)
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            _ask(target)
        except _Refused as refusal:
            why = str(refusal)
            if not why.startswith(("LOADING", "MASTERDOWN", "BUSY")):
                raise StartError(_refusal(target, why)) from None
        except ssl.SSLCertVerificationError:
            return target.address  # the parts may know its authority, from settings of theirs
        except ssl.SSLError as error:
            raise StartError(
                f"--redis: TLS with {target.address} failed: {error.reason or 'no TLS there'}"
            ) from None
        except OSError as error:
            why = error.strerror or "it does not answer"
        else:
            return target.address
        if time.monotonic() >= deadline_s:
            raise StartError(f"--redis: no Redis answers at {target.address}: {why}")
        time.sleep(_LOOK_AGAIN_S)


def _refusal(target: _Target, answer: str) -> str:
    code = answer.split(" ", 1)[0]
    if code in ("NOAUTH", "WRONGPASS") or "AUTH" in answer:
        wants = "wants a password" if code == "NOAUTH" else "refuses the user or password"
        return (
            f"--redis: the Redis at {target.address} {wants} ({answer}): "
            "set it in the URL, as in redis://user:password@host:6379/0"
        )
    return f"--redis: the Redis at {target.address} refuses to work: {answer}"


def _ask(target: _Target) -> None:
    """Log in and ping.

    Raises:
        _Refused: the server answered an error.
        OSError: it did not answer.
    """
    with socket.create_connection((target.host, target.port), timeout=_ANSWER_S) as plain:
        if not target.tls:
            _log_in(plain, target)
            return
        context = ssl.create_default_context()
        with context.wrap_socket(plain, server_hostname=target.host) as wrapped:
            _log_in(wrapped, target)


def _log_in(connection: socket.socket, target: _Target) -> None:
    if target.user and target.password:
        _command(connection, "AUTH", target.user, target.password)
    elif target.password:
        _command(connection, "AUTH", target.password)
    _command(connection, "PING")


def _command(connection: socket.socket, *words: str) -> None:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        text = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(text), text))
    connection.sendall(b"".join(parts))
    answer = b""
    while not answer.endswith(b"\r\n") and len(answer) < _MOST_ANSWER_BYTES:
        more = connection.recv(_MOST_ANSWER_BYTES)
        if not more:
            raise OSError(0, "it closed the connection")
        answer += more
    if answer.startswith(b"-"):
        raise _Refused(answer[1:].decode("utf-8", "replace").strip()[:200])
    if not answer.startswith(b"+"):
        raise OSError(0, "what answers is no Redis")
