"""One queue server a session, emptied for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.integration.ingest.valkey import Valkey


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A running server, shared; it is never killed and need not write to the disk."""
    server = Valkey(tmp_path_factory.mktemp("valkey"), "--appendonly", "no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(valkey_server: Valkey) -> AsyncIterator[Redis]:
    """A client of the emptied shared server."""
    client = Redis.from_url(valkey_server.url, protocol=2)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, not started yet."""
    server = Valkey(tmp_path)
    yield server
    server.stop()
