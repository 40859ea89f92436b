"""Indexing folders, against the fake service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike_client import Client
from lookalike_client.indexing.ledger import Ledger, Tally
from lookalike_client.indexing.run import IndexJob, ensure_collection, run
from lookalike_client.indexing.scan import scan
from lookalike_client.testing import FakeServer

# JPEG's first bytes, so that a file is taken for a picture.
PICTURE = b"\xff\xd8\xff\xe0"


@pytest.fixture
def client() -> Iterator[Client]:
    with FakeServer() as server, Client(server.address) as connected:
        ensure_collection(connected, "photos")
        yield connected


def index(client: Client, folder: Path, job_id: str, **metadata: dict[str, int]) -> Ledger:
    files = scan([folder], prefix="", base=folder).files
    tallies: list[Tally] = []
    job = IndexJob("photos", files, metadata, job_id)
    ledger = run(client, job, tallies.append)
    assert tallies[-1] == ledger.tally()
    return ledger


def test_only_what_is_new_or_changed_is_sent(client: Client, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(PICTURE + name.encode())

    first = index(client, tmp_path, "one")
    again = index(client, tmp_path, "two")
    (tmp_path / "b.jpg").write_bytes(PICTURE + b"changed")
    changed = index(client, tmp_path, "three")

    assert (first.tally().queued, first.stored, first.tally().unchanged) == (3, 3, 0)
    assert (again.tally().queued, again.tally().unchanged) == (0, 3)
    assert (changed.tally().queued, changed.tally().unchanged) == (1, 2)
    assert client.count("photos") == 3


def test_metadata_alone_is_replaced_without_the_picture(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(PICTURE)
    index(client, tmp_path, "one")
    version = client.get("photos", ["a.jpg"]).items[0].version

    ledger = index(client, tmp_path, "two", **{"a.jpg": {"n": 1}})

    item = client.get("photos", ["a.jpg"]).items[0]
    assert ledger.tally().queued == 1
    assert (item.metadata, item.version > version) == ({"n": 1}, True)


def test_a_collection_that_is_there_is_kept(client: Client) -> None:
    assert ensure_collection(client, "photos").uid == client.collections.get("photos").uid
