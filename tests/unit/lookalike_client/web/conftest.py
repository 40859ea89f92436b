"""One search service in memory, and web servers before it."""

from collections.abc import Iterator

import pytest

from lookalike_client import Client, ImageItem
from lookalike_client.testing import FakeServer
from tests.unit.lookalike_client.web.serving import Browser, served

HOSTILE = (
    "<img src=x onerror=alert(1)>.jpg",
    "../../etc/passwd",
    "\u202egpj.exe",
    "a\"b'c&d?e=f#g%2e%2e.png",
    "\u0633\u0644\u0627\u0645/\u200fx.png",
)


@pytest.fixture(scope="module")
def service() -> Iterator[FakeServer]:
    with FakeServer() as server, Client(server.address) as client:
        client.collections.create("photos")
        items = [
            ImageItem(name, name.encode(), {"kind": "a" if number % 2 else "b", "n": number})
            for number, name in enumerate((*HOSTILE, *(f"{n}.jpg" for n in range(20))))
        ]
        for each in client.submit_images("photos", items, job_id="first"):
            assert each.accepted
        yield server


@pytest.fixture(scope="module")
def browser(service: FakeServer) -> Iterator[Browser]:
    with served(service.address, max_body_bytes=200_000) as browser:
        yield browser


@pytest.fixture(scope="module")
def reader(service: FakeServer) -> Iterator[Browser]:
    """Of a server that lets nothing be changed."""
    with served(service.address, read_only=True) as browser:
        yield browser
