"""Files in, searchable items out, through the command line."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from lookalike_client import Client
from tests.e2e.conftest import RunCli

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """Four photographs, one of them in a folder of its own."""
    target = tmp_path / "photos"
    (target / "pets").mkdir(parents=True)
    for name in NAMES:
        shutil.copy(photos / name, target / ("pets" if name == "chelsea.png" else ".") / name)
    return target


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    rows = ["file,subject,year", "coffee.png,cup,2011", "rocket.jpg,rocket,2014"]
    rows += ["pets/chelsea.png,cat,2012", "absent.png,nothing,1900"]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_folder_is_indexed_and_found(cli: RunCli, folder: Path, table: Path) -> None:
    ran = cli(
        *("index", folder, "-c", "folder", "--metadata-csv", table, "--prefix", "a/"),
        *("--wait", "--json"),
    )

    assert ran.code == 0, ran.err
    assert (ran.json["files"], ran.json["stored"], ran.json["failed"]) == (4, 4, [])
    assert "1 of 4 rows of the metadata table match no file: 'absent.png'" in ran.err
    found = cli("search", folder / "coffee.png", "-c", "folder", "-k", "2", "--json").json["hits"]
    assert found[0]["id"] == "a/coffee.png"
    assert found[0]["score"] >= 0.999
    assert found[0]["metadata"] == {"subject": "cup", "year": 2011}
    cats = cli(
        "search", "--id", "a/coffee.png", "-c", "folder", "--filter", "year > 2011", "--json"
    )
    assert {hit["id"] for hit in cats.json["hits"]} == {"a/pets/chelsea.png", "a/rocket.jpg"}


def test_a_second_run_sends_only_what_changed(cli: RunCli, folder: Path, table: Path) -> None:
    arguments = ("index", folder, "-c", "again", "--metadata-csv", table, "--wait", "--json")
    assert cli(*arguments).json["queued"] == 4

    unchanged = cli(*arguments).json
    shutil.copy(folder / "rocket.jpg", folder / "astronaut.png")
    table.write_text("file,subject\ncoffee.png,espresso\npets/chelsea.png,cat\nrocket.jpg,rocket\n")
    changed = cli(*arguments).json

    assert (unchanged["unchanged"], unchanged["queued"]) == (4, 0)
    # One picture, which keeps its metadata; that of the three that have some.
    assert (changed["unchanged"], changed["queued"], changed["stored"]) == (0, 4, 4)
    resent = cli("index", folder, "-c", "again", "--resend", "--wait", "--json").json
    assert (resent["stored"], resent["outcomes"]["stored"]) == (4, 4)
    coffee = cli("get", "coffee.png", "-c", "again", "--json").json["items"][0]
    assert coffee["metadata"] == {"subject": "espresso"}
    twins = cli("search", folder / "rocket.jpg", "-c", "again", "-k", "2", "--json").json["hits"]
    assert [hit["id"] for hit in twins] == ["astronaut.png", "rocket.jpg"]


def test_bad_files_are_listed_and_leave_the_others_alone(
    cli: RunCli, client: Client, folder: Path
) -> None:
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("not a picture")
    (folder / "notes.txt").write_text("nobody means this")
    shutil.copy(folder / "coffee.png", folder / "line\nbreak.png")
    (folder / "rocket.jpg").rename(folder / "rocket.HEIC")
    (folder / "drawing.psd").write_bytes(b"8BPS\0\1")
    Image.new("L", (10_000, 10_000)).save(folder / "huge.png")
    broken = (folder / "rocket.HEIC").read_bytes()[:5000]
    (folder / "cut.jpg").write_bytes(broken)

    ran = cli("index", folder, "-c", "mixed", "--wait", "--json")

    assert ran.code == 1
    reasons = {failure["id"]: failure["reason"] for failure in ran.json["failed"]}
    assert reasons == {
        "cut.jpg": "IMAGE_UNREADABLE",
        "empty.jpg": "IMAGE_UNREADABLE",
        "huge.png": "IMAGE_TOO_LARGE",
        "line\\nbreak.png": "INVALID_FIELD",
        "text.png": "IMAGE_UNREADABLE",
    }
    assert all(failure["message"] for failure in ran.json["failed"])
    assert [skipped["file"] for skipped in ran.json["skipped"]] == ["drawing.psd", "notes.txt"]
    assert ran.json["skipped_formats"] == {"PSD": 1}
    assert ran.json["files"] == sum(ran.json["outcomes"].values()) == len(NAMES) + 5
    assert ran.json["stored"] == client.count("mixed") == len(NAMES)
    listed = cli("failures", "-c", "mixed", "--json").json["failures"]
    assert {failure["id"] for failure in listed} == {"cut.jpg", "huge.png", "text.png"}


def test_a_repaired_file_is_indexed_by_a_retry(cli: RunCli, client: Client, folder: Path) -> None:
    """A retry runs the queued bytes again: what was damaged fails again, with its reason."""
    (folder / "text.png").write_text("not a picture")
    cli("index", folder, "-c", "retried", "--wait")

    retried = cli("failures", "-c", "retried", "--retry", "--json").json
    shutil.copy(folder / "coffee.png", folder / "text.png")
    repaired = cli("index", folder, "-c", "retried", "--wait", "--json")

    assert retried["retried"] == 1
    assert (repaired.code, repaired.json["unchanged"], repaired.json["stored"]) == (0, 4, 1)
    assert client.count("retried") == 5


def test_named_files_take_their_ids_from_the_present_folder(
    cli: RunCli, folder: Path, tmp_path: Path, photos: Path
) -> None:
    ran = cli(
        *("index", "pets/chelsea.png", photos / "brick.png", "-c", "named", "--wait", "--json"),
        cwd=folder,
    )

    assert ran.code == 0, ran.err
    ids = [json.loads(line)["id"] for line in cli("list", "-c", "named", "--json").out.splitlines()]
    assert ids == ["brick.png", "pets/chelsea.png"]


def test_a_folder_without_pictures_is_a_failure(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    ran = cli("index", tmp_path, "--wait")

    assert ran.code == 1
    assert "no image was found" in ran.err


def test_two_files_of_one_id_are_refused(cli: RunCli, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "coffee.png", other / "rocket.jpg")

    ran = cli("index", folder, other)

    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert "--prefix" in ran.err


def test_without_waiting_the_outcome_comes_later(cli: RunCli, client: Client, folder: Path) -> None:
    ran = cli("index", folder, "-c", "later", "--job", "later-1", "--json")

    assert ran.code == 0
    assert (ran.json["queued"], ran.json["stored"]) == (4, None)
    outcomes = list(client.watch_ingest("later-1"))
    assert {event.result.id for event in outcomes} == {
        *("astronaut.png", "coffee.png", "pets/chelsea.png", "rocket.jpg")
    }
    assert client.count("later") == 4
