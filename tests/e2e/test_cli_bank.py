"""`lookalike bank` as it is typed, on real photographs."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lookalike_client import Client, ImageItem
from tests.e2e.conftest import RunCli

KNOWN = ("chelsea.png", "coffee.png", "rocket.jpg")
OPTIONS = ("-c", "known", "--threshold", "0.8")


@pytest.fixture(scope="module")
def shown(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of a known photograph, an unknown one, a white one, and no image."""
    folder = tmp_path_factory.mktemp("shown")
    with Image.open(photos / "chelsea.png") as cat:
        half = cat.convert("RGB").resize((cat.width // 2, cat.height // 2))
        half.save(folder / "half.jpg", quality=60)
    with Image.open(photos / "astronaut.png") as stranger:
        stranger.save(folder / "stranger.png")
    Image.new("RGB", (80, 80), "white").save(folder / "white.png")
    return folder


@pytest.fixture
def known(client: Client, photos: Path) -> Iterator[str]:
    """A bank of three photographs."""
    client.collections.create("known")
    images = [ImageItem(name, photos / name) for name in KNOWN]
    assert all(each.error is None for each in client.submit_images("known", images, job_id="bank"))
    assert all(each.result.error is None for each in client.watch_ingest("bank"))
    yield "known"
    client.collections.delete("known")


def test_images_are_matched_by_both_signals(
    cli: RunCli, known: str, shown: Path, photos: Path, tmp_path: Path
) -> None:
    told = cli("bank", "show", "-c", known).out
    assert "with a PDQ hash" in told
    assert "threshold" in told
    assert "calibrate with --keep" in " ".join(told.split())

    table = tmp_path / "verdicts.csv"
    ran = cli("bank", "match", shown, *OPTIONS, "--csv", table)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "1 match, 2 no match" in ran.out
    assert "chelsea.png" in ran.out
    assert "stranger.png" not in ran.out  # with --all only
    with table.open(newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "half.jpg": "match",
        "stranger.png": "no_match",
        "white.png": "no_match",
    }
    assert rows["half.jpg"]["agreement"] == "agree"
    assert rows["half.jpg"]["known"] == "chelsea.png"
    assert int(rows["half.jpg"]["pdq_distance"]) <= 31
    assert "low_pdq_quality" in rows["white.png"]["remarks"]

    by_hash = cli("bank", "match", shown, "-c", known, "--rule", "pdq", "--json").json
    assert by_hash["counts"] == {"match": 1, "no_match": 1, "uncertain": 1, "failed": 0}
    assert "half.jpg" in cli("bank", "match", shown / "half.jpg", *OPTIONS, "--all").out
    asked = cli("bank", "match", shown, "-c", known)
    assert asked.code == 1
    assert "calibrate the collection" in asked.err


def test_lists_are_imported_matched_exported_and_removed(
    cli: RunCli, known: str, shown: Path, tmp_path: Path
) -> None:
    exported = tmp_path / "known.csv"
    assert cli("bank", "export", "-c", known, "--items", "-o", exported).code == 0
    with exported.open(newline="") as file:
        hashes = {row["id"]: row["hash"] for row in csv.DictReader(file)}
    assert set(hashes) == set(KNOWN)

    # The list alone, where the images are not: another bank, in the form of others.
    printed = cli("bank", "export", "-c", known, "--items", "--format", "hasher").out
    listed = tmp_path / "theirs.txt"
    listed.write_text(printed + "no hash\n")
    cli("collections", "create", "list-only")
    done = cli("bank", "import", listed, "-c", "list-only", "--label", "case 7")
    assert done.code == 1
    assert "line 4: no PDQ hash of 64 hexadecimal digits" in done.err
    assert "lines not read" in done.out
    assert "added" in done.out
    ran = cli("bank", "match", shown / "half.jpg", "-c", "list-only", "--rule", "pdq", "--json")
    (result,) = ran.json["results"]
    assert (result["verdict"], result["agreement"]) == ("match", "pdq_only")
    assert result["evidence"][0]["listed"]["label"] == "case 7"
    assert result["evidence"][0]["listed"]["name"] == "chelsea.png"

    mine = tmp_path / "mine.txt"
    mine.write_text(f"{hashes['coffee.png']}\n")
    by_list = cli("bank", "match", "--hashes", mine, "-c", known, "--json").json
    assert by_list["counts"]["match"] == 1
    assert cli("bank", "remove", mine, "-c", "list-only").out.strip() == "1 hashes removed"
    assert cli("bank", "remove", "--all", "--yes", "-c", "list-only", "--json").json == {
        "removed": 2
    }
    assert cli("bank", "export", "-c", "list-only", "--format", "text").out == ""
    cli("collections", "delete", "list-only", "--yes")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("match",), "Give files or folders"),
        (("remove",), "Give FILES or --all"),
        (("export", "--json"), "Give -o FILE with --json"),
    ],
)
def test_what_is_missing_is_said(cli: RunCli, arguments: tuple[str, ...], says: str) -> None:
    ran = cli("bank", *arguments)
    assert ran.code == 2
    assert says in ran.err
