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


def index(
    client: Client,
    folder: Path,
    job_id: str,
    metadata: dict[str, dict[str, int]] | None = None,
    replace: bool = False,
) -> Ledger:
    files = scan([folder], prefix="", base=folder).files
    tallies: list[Tally] = []
    job = IndexJob("photos", files, metadata or {}, job_id, replace_metadata=replace)
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

    ledger = index(client, tmp_path, "two", {"a.jpg": {"n": 1}})

    item = client.get("photos", ["a.jpg"]).items[0]
    assert ledger.tally().queued == 1
    assert (item.metadata, item.version > version) == ({"n": 1}, True)


def test_what_is_not_given_metadata_keeps_what_is_stored(client: Client, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(PICTURE + name.encode())
    index(client, tmp_path, "one", {"a.jpg": {"n": 1}})
    client.update_metadata("photos", {"b.jpg": {"seen": True}})
    (tmp_path / "b.jpg").write_bytes(PICTURE + b"changed")

    ledger = index(client, tmp_path, "two")

    assert (ledger.tally().queued, ledger.tally().unchanged) == (1, 1)
    kept = {item.id: item.metadata for item in client.list("photos")}
    assert kept == {"a.jpg": {"n": 1}, "b.jpg": {"seen": True}}

    index(client, tmp_path, "three", {"a.jpg": {"n": 2}}, replace=True)

    replaced = {item.id: item.metadata for item in client.list("photos")}
    assert replaced == {"a.jpg": {"n": 2}, "b.jpg": {}}


@pytest.mark.parametrize("replaces", [False, True])
def test_all_is_sent_again_on_request(client: Client, tmp_path: Path, replaces: bool) -> None:
    (tmp_path / "a.jpg").write_bytes(PICTURE)
    index(client, tmp_path, "one", {"a.jpg": {"n": 1}})
    files = scan([tmp_path], base=tmp_path).files
    job = IndexJob("photos", files, {}, "two", resend=True, replace_metadata=replaces)

    assert run(client, job, lambda tally: None).tally().queued == 1
    assert client.get("photos", ["a.jpg"]).items[0].metadata == ({} if replaces else {"n": 1})


def test_a_name_that_is_no_id_fails_alone(client: Client, tmp_path: Path) -> None:
    for name in ("a.jpg", "b\n.jpg", "d/" * 60 + "c" * 240 + "/" + "e" * 240 + ".jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PICTURE + name.encode())
    found = scan([tmp_path], base=tmp_path)
    job = IndexJob("photos", found.files, {}, "one", refused=found.refused)

    ledger = run(client, job, lambda tally: None)

    assert (ledger.stored, ledger.tally().failed) == (1, 2)
    failed = {each.id: each.error.message for each in ledger.sorted_failures()}
    assert "control character" in failed.pop("b\\n.jpg")
    ((long, message),) = failed.items()
    assert (len(long) > 512, "512" in message) == (True, True)


def test_a_collection_that_is_there_is_kept(client: Client) -> None:
    assert ensure_collection(client, "photos").uid == client.collections.get("photos").uid
