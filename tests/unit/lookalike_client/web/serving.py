"""A web server on a socket of its own, before a search service in memory."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from lookalike_client import AsyncClient
from lookalike_client.web.app import create_app
from lookalike_client.web.guard import CSRF_HEADER
from lookalike_client.web.options import WebOptions, loopback_hosts
from lookalike_client.web.serve import configured, listen

TOKEN = "token-of-the-tests"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json["error"]["reason"])


@dataclass
class Browser:
    """Sends requests as a browser that was let in does; `headers` are set or, by None, left out."""

    port: int
    options: WebOptions
    headers: dict[str, str | None] = field(default_factory=dict)

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.send("GET", path, b"", headers)

    def post(self, path: str, body: object = None, **headers: str | None) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return self.send("POST", path, data, headers)

    def send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str | None]
    ) -> Answer:
        wanted: dict[str, str | None] = {
            "host": f"127.0.0.1:{self.port}",
            "cookie": f"{self.options.cookie}={TOKEN}",
            CSRF_HEADER: self.options.csrf_token,
            **self.headers,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in wanted.items():
                if value is not None:
                    connection.putheader(name, value)
            if body and "content-length" not in wanted:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()


@contextmanager
def served(address: str, **options: Any) -> Iterator[Browser]:
    """Serve the page of the search service at `address`."""
    bound = listen("127.0.0.1", 0)
    port = bound.getsockname()[1]
    told = WebOptions(port=port, hosts=loopback_hosts(port), token=TOKEN, **options)
    server = uvicorn.Server(configured(create_app(told, lambda: AsyncClient(address))))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        yield Browser(port, told)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
