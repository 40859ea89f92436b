"""A running search service for each module of tests, and a collection for each test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from lookalike.v1 import collection_pb2 as cpb
from tests.integration.search_server import SearchServer, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    """Modules that need a service with other options, or one that is filled, make their own."""
    with running(tmp_path_factory.mktemp("server"), "--threads", "1") as one:
        yield one


@pytest.fixture
def name(server: SearchServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh collection of three dimensions."""
    made = hashlib.sha1(request.node.name.encode()).hexdigest()[:16]
    server.create(made, 3)
    yield made
    server.collections.DeleteCollection(cpb.DeleteCollectionRequest(name=made))
