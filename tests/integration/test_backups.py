"""Backups in a folder that stands for an object store, and `lookalike doctor`, on one service."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from lookalike.v1 import collection_pb2 as cpb
from lookalike_client import Client
from lookalike_client.backups import keeping
from lookalike_client.backups.place import Backup, Place
from lookalike_client.cli import main
from tests.integration.search_server import SearchServer, item, running
from tests.unit.lookalike_client.cli.running import Ran, ran

DIMENSION = 8

Command: TypeAlias = Callable[..., Ran]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    with running(tmp_path_factory.mktemp("data")) as server:
        for name in ("shoes", "hats"):
            server.create(name, DIMENSION)
            rng = np.random.default_rng(1)
            server.upsert(
                name, [item(f"{name}-{n}", list(rng.standard_normal(DIMENSION))) for n in range(20)]
            )
        yield server


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/kept"


@pytest.fixture
def lookalike(server: SearchServer, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: str) -> Ran:
        return ran(capsys, "--address", f"127.0.0.1:{server.port}", *arguments)

    return call


def test_all_collections_are_backed_up_and_come_back(
    lookalike: Command, server: SearchServer, url: str
) -> None:
    made = lookalike("backup", "create", url, "--json")
    assert (made.code, made.err) == (0, "")
    assert [each["collection"] for each in made.json["backups"]] == ["hats", "shoes"]
    with Client(f"127.0.0.1:{server.port}") as client:
        assert list(client.snapshots.list()) == []  # nothing is left on the service's disk
    listed = lookalike("backup", "list", url, "--json").json["backups"]
    assert [each["object"] for each in listed] == [each["object"] for each in made.json["backups"]]

    restored = lookalike("backup", "restore", url, "shoes", "--as", "shoes-2", "--json")
    assert restored.code == 0, restored.err
    assert restored.json["items"] == 20
    rng = np.random.default_rng(1)
    (hit,) = server.find("shoes-2", list(rng.standard_normal(DIMENSION)), limit=1)
    assert hit.id == "shoes-0"
    gone = lookalike("backup", "restore", url, "boots")
    assert (gone.code, gone.err) == (1, f"error: {url}: there is no backup of boots\n")
    taken = lookalike("backup", "restore", url, "shoes")
    assert taken.code == 1
    assert "shoes" in taken.err


class Ended(Place):
    """A place in the middle of whose work the job is ended."""

    def put(self, backup: Backup, chunks: Iterable[bytes]) -> None:
        next(iter(chunks))
        signal.raise_signal(signal.SIGTERM)


def test_a_job_that_is_ended_leaves_no_snapshot(
    server: SearchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["lookalike", "version"])
    try:
        with pytest.raises(SystemExit):
            main.main()  # sets what a command does when it is ended
        with Client(f"127.0.0.1:{server.port}") as client:
            with pytest.raises(KeyboardInterrupt):
                keeping.create(client, Ended(f"file://{tmp_path}"), "shoes")
            assert list(client.snapshots.list()) == []
    finally:
        signal.signal(signal.SIGTERM, before)


def test_only_the_newest_are_kept_of_each_collection(lookalike: Command, tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    first = lookalike("backup", "create", url, "-c", "shoes", "-c", "hats", "--json").json
    for year in (2020, 2021, 2022):  # older ones, and something of somebody else's
        for each in first["backups"]:
            (tmp_path / each["collection"] / f"{year}0101T000000000000Z-0123.tar").write_bytes(
                b"old"
            )
    (tmp_path / "shoes" / "notes.txt").write_text("not ours")

    thinned = lookalike("backup", "create", url, "-c", "shoes", "--keep", "2", "--json").json

    assert [each["time"][:4] for each in thinned["removed"]] == ["2020", "2021", "2022"]
    left = lookalike("backup", "list", url, "-c", "shoes", "--json").json["backups"]
    assert len(left) == 2
    assert thinned["backups"][0]["object"] == left[-1]["object"]
    assert len(lookalike("backup", "list", url, "-c", "hats", "--json").json["backups"]) == 4
    assert (tmp_path / "shoes" / "notes.txt").exists()


def test_a_damaged_backup_is_refused_and_leaves_nothing(
    lookalike: Command, server: SearchServer, tmp_path: Path
) -> None:
    url = f"file://{tmp_path}"
    (made,) = lookalike("backup", "create", url, "-c", "hats", "--json").json["backups"]
    archive = tmp_path / made["object"]
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)

    refused = lookalike("backup", "restore", url, "hats", "--as", "hats-2")

    assert refused.code == 1
    assert refused.err.startswith("error: ")
    names = server.collections.ListCollections(cpb.ListCollectionsRequest()).collections
    assert "hats-2" not in [each.name for each in names]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "ftp://somewhere"), "name a place such as s3://bucket/prefix"),
        (("restore", "file:///dev/shm/no-backups", "shoes"), "no-backups"),
        (("create", "file:///proc/none"), "/proc/none"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    lookalike: Command, arguments: tuple[str, ...], told: str
) -> None:
    ended = lookalike("backup", *arguments)

    assert ended.code == 1
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_a_collection_that_fails_does_not_stop_the_others(lookalike: Command, url: str) -> None:
    ended = lookalike("backup", "create", url, "-c", "none-such", "-c", "hats", "--json")

    assert ended.code == 1
    assert [each["collection"] for each in ended.json["backups"]] == ["hats"]
    assert [each["collection"] for each in ended.json["failed"]] == ["none-such"]


def test_the_doctor_says_what_is_missing(lookalike: Command) -> None:
    told = lookalike("doctor")

    assert told.code == 0
    assert "ok       search service: ready\n" in told.out
    assert "ok       collection shoes: 20 items\n" in told.out
    assert "warning  queue: images cannot be submitted" in told.out
    assert "→ give the search service --redis" in told.out
    assert {"level", "about", "text", "advice"} == set(
        lookalike("doctor", "--json").json["findings"][0]
    )
