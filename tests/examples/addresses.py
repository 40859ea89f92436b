"""Two addresses of one service, each of which counts the calls that come by it."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

HOSTS = ("127.0.0.1", "127.0.0.2")
# RFC 9113: what a client sends first, the head of a frame, and the type that begins a call.
_PREFACE_BYTES = 24
_HEAD_BYTES = 9
_HEADERS = 1


class Addresses(NamedTuple):
    """`calls` by host grows while clients call; both hosts have the same port."""

    port: int
    calls: Counter[str]


@contextmanager
def two_addresses(upstream_port: int) -> Iterator[Addresses]:
    """Pass on what comes to either address to a service without TLS on this machine."""
    calls: Counter[str] = Counter()
    servers: list[socketserver.ThreadingTCPServer] = []
    port = 0
    try:
        for host in HOSTS:
            servers.append(_server(host, port, upstream_port, calls))
            port = servers[-1].server_address[1]
            threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        yield Addresses(port, calls)
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _server(
    host: str, port: int, upstream_port: int, calls: Counter[str]
) -> socketserver.ThreadingTCPServer:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", upstream_port)) as upstream:
                back = threading.Thread(target=_pass_on, args=(upstream, self.request))
                back.start()
                _pass_on(self.request, upstream, _CallCounter(host, calls))
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    return Server((host, port), Handler)


class _CallCounter:
    """Reads the frames that a client sends, in whatever pieces they come."""

    def __init__(self, host: str, calls: Counter[str]) -> None:
        self._host = host
        self._calls = calls
        self._pending = bytearray()
        self._skip = _PREFACE_BYTES

    def take(self, piece: bytes) -> None:
        self._pending += piece
        while True:
            passed = min(self._skip, len(self._pending))
            del self._pending[:passed]
            self._skip -= passed
            if self._skip or len(self._pending) < _HEAD_BYTES:
                return
            self._skip = _HEAD_BYTES + int.from_bytes(self._pending[:3], "big")
            self._calls[self._host] += self._pending[3] == _HEADERS


def _pass_on(
    source: socket.socket, target: socket.socket, counter: _CallCounter | None = None
) -> None:
    with suppress(OSError):  # either end may be gone
        while piece := source.recv(65536):
            if counter is not None:
                counter.take(piece)
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
