"""`lookalike sync` of a folder that `lookalike index` has brought in before."""

import shutil
from pathlib import Path

import pytest

from lookalike_client import Client, Fields, VectorItem
from tests.e2e.conftest import RunCli

NAMES = ("astronaut.png", "coffee.png", "rocket.jpg", "coins.png")
FACTS = Fields(metadata=True, facts=True, vector=True)


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """Four photographs."""
    target = tmp_path / "photos"
    target.mkdir()
    for name in NAMES:
        shutil.copy(photos / name, target / name)
    return target


def test_what_was_indexed_moves_with_its_labels_and_goes_with_its_file(
    cli: RunCli, client: Client, folder: Path, photos: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,was\n" + "".join(f"{name},{name}\n" for name in NAMES))
    name = "after-index"
    assert cli("index", folder, "-c", name, "--metadata-csv", table, "--wait").code == 0
    before = {item.id: item for item in client.list(name, fields=FACTS)}

    # Two swap their names, one moves and leaves its name to another picture, one goes.
    (folder / "rocket.jpg").rename(folder / "aside")
    (folder / "coffee.png").rename(folder / "rocket.jpg")
    (folder / "aside").rename(folder / "coffee.png")
    (folder / "astronaut.png").rename(folder / "woman.png")
    shutil.copy(photos / "moon.png", folder / "astronaut.png")
    (folder / "coins.png").unlink()
    ran = cli("sync", folder, "-c", name, "--still", "0", "--yes", "--json")

    assert ran.code == 0, (ran.out, ran.err)
    assert {(move["from"], move["to"]) for move in ran.json["moved"]} == {
        ("rocket.jpg", "coffee.png"),
        ("coffee.png", "rocket.jpg"),
        ("astronaut.png", "woman.png"),
    }
    assert (ran.json["changed"], ran.json["removed"]) == (["astronaut.png"], ["coins.png"])
    after = {item.id: item for item in client.list(name, fields=FACTS)}
    assert set(after) == {"astronaut.png", "coffee.png", "rocket.jpg", "woman.png"}
    assert after["astronaut.png"].metadata == {}
    for new, old in (
        ("coffee.png", "rocket.jpg"),
        ("rocket.jpg", "coffee.png"),
        ("woman.png", "astronaut.png"),
    ):
        assert after[new].metadata == {"was": old}
        assert after[new].facts == before[old].facts


def test_what_came_from_elsewhere_is_neither_replaced_nor_removed(
    cli: RunCli, client: Client, folder: Path
) -> None:
    name = "from-elsewhere"
    cli("index", folder / "coffee.png", "-c", name, "--wait")  # a file, of no folder
    (coffee,) = client.list(name, fields=FACTS)
    assert coffee.vector is not None
    fingerprint = client.collections.get(name).model_fingerprint
    others = [VectorItem(each, coffee.vector, {}, fingerprint) for each in ("coins.png", "far.png")]
    list(client.upsert_vectors(name, others))

    ran = cli("sync", folder, "-c", name, "--still", "0", "--yes", "--json")

    assert ran.code == 1
    assert {"id": "coins.png", "folder": ""} in ran.json["clashes"]
    assert ran.json["new"] == ["astronaut.png", "rocket.jpg"]
    (folder / "coins.png").unlink()
    again = cli("sync", folder, "-c", name, "--still", "0", "--yes", "--json")
    assert again.json["removed"] == []
    kept = {item.id: item for item in client.list(name, fields=FACTS)}
    assert {"coins.png", "far.png"} <= set(kept)
    assert kept["coins.png"].facts is None
