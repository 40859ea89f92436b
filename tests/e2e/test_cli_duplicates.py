"""`lookalike duplicates` as it is typed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike_client import Client, DuplicateVerdict, VectorItem
from search_service.analysis.duplicates.turns import WAYS, turn_of
from tests.bench.analysis.copies import as_jpeg
from tests.bench.analysis.turning import lying
from tests.e2e.conftest import RunCli
from tests.integration.picture_facts import facts_of

THREE = {"one-0", "one-1", "one-2"}


@pytest.fixture
def doubled(client: Client) -> Iterator[str]:
    """Three items of one vector, nearly, two of another, and some by themselves."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(30, 16))
    items = [VectorItem(f"alone-{n}", centres[n], {"n": n}) for n in range(2, 30)]
    for name, centre, count in (("one", 0, 3), ("two", 1, 2)):
        for n in range(count):
            vector = centres[centre] + rng.normal(scale=0.02, size=16)
            items.append(VectorItem(f"{name}-{n}", vector, {"shared": n, f"field{n}": n}))
    client.collections.create("doubled", model=None, dimension=16)
    assert all(result.error is None for result in client.upsert_vectors("doubled", items))
    yield "doubled"
    client.collections.delete("doubled")


def test_groups_are_printed_and_written(cli: RunCli, doubled: str, tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    options = ("duplicates", "-c", doubled, "--threshold", "0.95")
    ran = cli(*options, "--csv", table)
    assert ran.code == 0
    assert "2 groups" in ran.out
    assert "unverified" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows if row["group"] == "1"} == THREE
    assert [row["keep"] for row in rows] == ["1", "0", "0", "1", "0"]

    report = cli(*options, "--json").json["report"]
    assert [len(group["members"]) for group in report["groups"]] == [3, 2]
    later = cli(*options, "--since-version", str(report["newest_version"]))
    assert "no duplicates" in later.out


def test_reviewed_duplicates_are_merged_and_deleted_only_when_told(
    cli: RunCli, client: Client, doubled: str, tmp_path: Path
) -> None:
    options = ("duplicates", "-c", doubled, "--threshold", "0.95", "--merge-metadata", "--delete")
    before = client.count(doubled)
    assert cli(*options, "--yes", "--json").json["would_delete"] == []
    assert client.count(doubled) == before  # nothing was reviewed

    decisions = tmp_path / "decisions.csv"
    decisions.write_text("id,other_id,verdict\ntwo-0,two-1,different\n")
    accepting = (*options, "--accept", "unverified", "--decisions", decisions)
    going = tmp_path / "going.txt"
    dry = cli(*accepting, "--write-delete-list", going)
    assert dry.code == 0
    assert "nothing was changed: 3 reviewed duplicates" in dry.out
    assert len(going.read_text().splitlines()) == 3
    assert client.count(doubled) == before
    assert client.analysis.duplicate_decisions(doubled) == []

    done = cli(*accepting, "--yes", "--json").json
    assert done["done"] == {"noted": 2, "merged": 1, "deleted": 2}
    (kept,) = THREE - set(done["would_delete"])
    assert client.count(doubled) == before - 2
    (item,) = client.get(doubled, [kept]).items
    assert {"field0", "field1", "field2"} <= set(item.metadata)
    assert item.metadata["shared"] == int(kept[-1])
    verdicts = {each.verdict for each in client.analysis.duplicate_decisions(doubled)}
    assert verdicts == {DuplicateVerdict.DUPLICATE, DuplicateVerdict.DIFFERENT}
    written = tmp_path / "written.csv"
    assert "no duplicates" in cli(*options, "--write-decisions", written).out
    with written.open(newline="") as file:
        assert sorted(row["alike"] for row in csv.DictReader(file)) == ["0", "1", "1"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,other\na,b\n", "no column other_id"),
        ("id,other_id,verdict\na,b,same\n", "line 2: 'same' is no verdict"),
    ],
)
def test_a_file_that_is_none_of_decisions_is_refused(
    cli: RunCli, doubled: str, tmp_path: Path, content: str, says: str
) -> None:
    path = tmp_path / "decisions.csv"
    path.write_text(content)
    ran = cli("duplicates", "-c", doubled, "--threshold", "0.9", "--decisions", path)
    assert ran.code == 2
    assert says in ran.err


def test_a_threshold_is_asked_for(cli: RunCli, doubled: str) -> None:
    ran = cli("duplicates", "-c", doubled)
    assert ran.code == 1
    assert "calibrate the collection" in ran.err


def test_turned_copies_are_found_when_asked_for(
    cli: RunCli, client: Client, photos: Path, tmp_path: Path
) -> None:
    """Their vectors have nothing in common, as those of turned pictures hardly have."""
    rng = np.random.default_rng(8)
    client.collections.create("turned", model=None, dimension=16)
    items = []
    for name in ("chelsea.png", "coffee.png", "astronaut.png"):
        with Image.open(photos / name) as opened:
            picture = opened.convert("RGB")
        for way in range(WAYS if name == "coffee.png" else 1):
            turn = turn_of(way)
            data = as_jpeg(lying(picture, turn), 90 if way == 0 else 60)
            id = f"{name}/{turn.mirrored:d}/{turn.degrees}"
            items.append(VectorItem(id, rng.normal(size=16), facts=facts_of(data)))
    assert all(result.error is None for result in client.upsert_vectors("turned", items))
    assert client.analysis.find_duplicates("turned", threshold=0.95).groups == []

    table = tmp_path / "groups.csv"
    ran = cli(*("duplicates", "-c", "turned", "--threshold", "0.95", "--turned", "--csv", table))
    assert ran.code == 0
    assert "copy, mirrored" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    (group,) = client.analysis.find_duplicates("turned", threshold=0.95, turned=True).groups
    assert len(group.members) == WAYS
    with table.open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for member in group.members:
        row = rows[member.id]
        told = (member.mirrored, member.turned_degrees)
        assert told == _turned_from(group.representative_id, member.id)
        assert (row["mirrored"], row["turned_degrees"]) == (str(told[0]), str(told[1]))
    client.collections.delete("turned")


def _turned_from(first: str, other: str) -> tuple[bool, int]:
    """Return how `first` was mirrored and then turned to be `other`, by what their ids say."""
    marks = [each.split("/")[1:] for each in (first, other)]
    (one, before), (two, after) = [(mirrored == "1", int(degrees)) for mirrored, degrees in marks]
    mirrored = one != two
    return mirrored, (after + before if mirrored else after - before) % 360
