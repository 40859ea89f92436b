"""Each command's output and exit code."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike_client import Client, VectorItem
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import RunCli, command, environment, run_cli

VECTORS = {
    "g1": [1.0, 0.0, 0.0],
    "g2": [0.0, 1.0, 0.0],
    "g3": [0.5, 0.5, 0.0],
    "g4": [0.0, 0.0, 1.0],
    "g5": [0.2, 0.1, 0.0],
}


@pytest.fixture
def worked(client: Client) -> Iterator[str]:
    """A collection of five vectors."""
    name = "worked"
    client.collections.create(name, model=None, dimension=3)
    items = [VectorItem(key, vector, {"key": key}) for key, vector in VECTORS.items()]
    assert all(result.error is None for result in client.upsert_vectors(name, items))
    yield name
    client.collections.delete(name)


def test_status_tells_that_all_runs(cli: RunCli, worked: str) -> None:
    status = cli("status", "--json").json

    assert status["ready"] is True
    assert worked in [each["name"] for each in status["collections"]]
    assert len(status["ingest"]["workers"]) == 1
    shown = cli("status")
    assert shown.code == 0
    assert worked in shown.out


def test_search_by_id_leaves_the_item_out(cli: RunCli, worked: str) -> None:
    document = cli("search", "--id", "g3", "-c", worked, "-k", "2", "--json").json

    assert [hit["id"] for hit in document["hits"]] == ["g5", "g1"]
    assert document["hits"][0]["score"] == pytest.approx(0.9487, abs=1e-4)
    assert document["hits"][0]["metadata"] == {"key": "g5"}


def test_search_can_be_narrowed(cli: RunCli, worked: str) -> None:
    close = cli("search", "--id", "g3", "-c", worked, "--min-score", "0.9", "--exact", "--json")
    filtered = cli("search", "--id", "g3", "-c", worked, "--filter", "key = 'g4'", "--json")

    assert [hit["id"] for hit in close.json["hits"]] == ["g5"]
    assert [hit["id"] for hit in filtered.json["hits"]] == ["g4"]
    assert "compared exactly" in cli("search", "--id", "g3", "-c", worked, "--explain").out


def test_items_are_read_counted_and_deleted(cli: RunCli, worked: str) -> None:
    got = cli("get", "g1", "zz", "--vector", "-c", worked, "--json")
    deleted = cli("delete", "g1", "-c", worked, "--json")

    assert got.code == 1
    assert got.json["missing_ids"] == ["zz"]
    assert got.json["items"][0]["vector"] == [1.0, 0.0, 0.0]
    assert deleted.json["results"][0]["status"] == "applied"
    assert cli("count", "-c", worked, "--json").json == {"count": 4}
    assert cli("count", "--filter", "key = 'g2'", "-c", worked).out == "1\n"
    assert cli("delete", "g1", "-c", worked).code == 1


def test_recall_is_measured(cli: RunCli, worked: str) -> None:
    (measured,) = cli("recall", worked, "--sample", "5", "-k", "3", "--json").json["measurements"]

    assert measured["recall"] == 1.0
    assert measured["queries"] == 5


def test_collections_and_aliases(cli: RunCli) -> None:
    made = cli("collections", "create", "shelf", "--external-vectors", "--dimension", "4", "--json")
    cli("collections", "alias", "live", "shelf")
    shown = cli("collections", "show", "live", "--json")
    changed = cli(
        *("collections", "update", "shelf", "--duplicates", "flag", "--threshold", "0.9"),
        "--json",
    )
    aliases = cli("collections", "aliases", "--json")
    cli("collections", "alias", "live", "--delete")
    gone = cli("collections", "delete", "shelf", "--yes", "--json")

    assert made.json["dimension"] == 4
    assert shown.json["uid"] == made.json["uid"]
    assert changed.json["duplicates"]["policy"] == "flag"
    assert aliases.json == {"aliases": [{"alias": "live", "collection": "shelf"}]}
    assert gone.json == {"name": "shelf", "deleted_items": 0}
    assert cli("collections", "show", "live").code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["count", "-c", "nowhere"], 1, "nowhere"),
        (["search", "--id", "a", "--filter", "a = = 1", "-c", "bad"], 1, ""),
        (["search"], 2, "IMAGE, --id or --like"),
        (["search", "absent.png"], 2, "absent.png"),
        (["search", "--id", "a", "-k", "0"], 2, "--limit"),
        (["collections", "create", "x", "--external-vectors"], 2, "--dimension"),
        (["collections", "create", "bad name"], 1, "name"),
        (["nonsense"], 2, "nonsense"),
        (["index"], 2, "PATHS"),
    ],
)
def test_mistakes_are_one_clear_line(
    cli: RunCli, arguments: list[str], code: int, says: str
) -> None:
    ran = cli(*arguments)

    assert ran.code == code
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert says in ran.err


def test_a_filter_that_cannot_be_read_is_answered_with_its_place(cli: RunCli, worked: str) -> None:
    ran = cli("search", "--id", "g1", "-c", worked, "--filter", "key = = 3")

    assert ran.code == 1
    assert "column 7" in ran.err


def test_bad_vectors_fail_alone(client: Client, worked: str) -> None:
    items = [
        VectorItem("nan", np.array([np.nan, 0, 1])),
        VectorItem("short", [1.0, 2.0]),
        VectorItem("good", [0.0, 0.6, 0.8]),
    ]

    results = {each.id: each for each in client.upsert_vectors(worked, items)}

    reasons = {key: each.error.reason.name for key, each in results.items() if each.error}
    assert reasons == {"nan": "VECTOR_NOT_FINITE", "short": "DIMENSION_MISMATCH"}
    assert client.get(worked, ["good"]).missing_ids == []


def test_a_search_of_what_is_no_picture_is_refused(
    cli: RunCli, tmp_path: Path, photo: Path
) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.copy(photo, folder)
    assert cli("index", folder, "-c", "one", "--wait").code == 0
    empty, text = tmp_path / "empty.png", tmp_path / "text.png"
    empty.touch()
    text.write_text("not a picture")

    for path, says in ((empty, "empty"), (text, "not an image")):
        ran = cli("search", path, "-c", "one")
        assert (ran.code, ran.out) == (1, "")
        assert says in ran.err


def test_without_a_server_the_exit_code_is_three() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening: nobody answers there
        address = f"127.0.0.1:{unused.getsockname()[1]}"

        ran = run_cli("--address", address, "status", "--json")

    assert (ran.code, ran.json["error"]["reason"]) == (3, "UNREACHABLE")
    assert ran.err.count("\n") == 1
    assert "lookalike up" in ran.err


def test_a_reader_that_leaves_is_no_error(system: RunningSystem, worked: str) -> None:
    listing = subprocess.Popen(
        command("--address", system.search, "list", "-c", worked, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert listing.stdout is not None
    assert listing.stderr is not None
    listing.stdout.close()

    complaint = listing.stderr.read()
    listing.stderr.close()

    assert listing.wait(timeout=60) == 1
    assert complaint == b""


def test_version_needs_no_server() -> None:
    assert run_cli("version", "--json").json["version"]
