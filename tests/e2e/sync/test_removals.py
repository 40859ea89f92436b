"""What is removed from a collection, and what is not."""

import shutil
from pathlib import Path

import pytest

from lookalike_client import Client
from tests.e2e.conftest import RunCli
from tests.e2e.sync.kit import NAMES, items, label_all, sync


def test_what_is_gone_is_removed_when_that_is_agreed_to(
    cli: RunCli, client: Client, folder: Path
) -> None:
    sync(cli, folder, "gone")
    label_all(client, "gone")
    (folder / "coins.png").unlink()
    shutil.copy(folder / "rocket.jpg", folder / "coffee.png")

    rehearsed = cli("sync", folder, "-c", "gone", "--dry-run", "--still", "0", "--json")
    assert (rehearsed.json["removed"], rehearsed.json["changed"]) == (["coins.png"], ["coffee.png"])
    assert client.count("gone") == 6
    asked = cli("sync", folder, "-c", "gone", "--still", "0")
    assert asked.code == 1
    assert "1 item whose file is gone" in asked.err
    assert "coins.png" in items(client, "gone")
    agreed = sync(cli, folder, "gone", "--yes")

    assert agreed["removed"] == ["coins.png"]
    left = items(client, "gone")
    assert set(left) == {*NAMES, "pets/chelsea.png"} - {"coins.png", "chelsea.png"}
    one, other = left["coffee.png"].facts, left["rocket.jpg"].facts
    assert one is not None
    assert other is not None
    assert one.sha256 == other.sha256
    # An edited file keeps what people said of it.
    assert left["coffee.png"].metadata["was"] == "coffee.png"


@pytest.mark.parametrize("what", ["empty", "missing", "most"])
def test_a_folder_that_is_not_to_be_believed_changes_nothing(
    cli: RunCli, client: Client, folder: Path, what: str
) -> None:
    name = f"refused-{what}"
    sync(cli, folder, name)
    if what == "most":
        for each in NAMES[2:]:
            (folder / each).unlink()
        shutil.copy(folder / "astronaut.png", folder / "new.png")
    else:
        shutil.rmtree(folder)
        if what == "empty":
            folder.mkdir()

    ran = cli("sync", folder, "-c", name, "--yes", "--json")

    assert ran.code == 1
    message = ran.json["error"]["message"]
    assert {"empty": "no image", "missing": "not there", "most": "4 of 6 items (67%)"}[
        what
    ] in message
    assert client.count(name) == 6
    if what != "missing":
        share = "100%" if what == "empty" else "0.7"
        removed = sync(cli, folder, name, "--yes", "--allow-removal", share)["removed"]
        assert len(removed) == (6 if what == "empty" else 4)


def test_two_folders_leave_each_other_alone(
    cli: RunCli, client: Client, folder: Path, tmp_path: Path, photos: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(photos / "coins.png", other / "coins.png")  # same name, same picture
    shutil.copy(photos / "brick.png", other / "rocket.jpg")  # same name, another picture
    shutil.copy(photos / "grass.png", other / "grass.png")
    client.collections.create("two")
    list(client.submit_images("two", []))
    sync(cli, folder, "two")

    ran = cli("sync", other, "-c", "two", "--still", "0", "--json")

    assert ran.code == 1
    assert {each["id"] for each in ran.json["clashes"]} == {"coins.png", "rocket.jpg"}
    assert ran.json["new"] == ["grass.png"]
    for each in ("coins.png", "rocket.jpg"):
        (other / each).unlink()
    (folder / "camera.png").unlink()
    assert sync(cli, other, "two", "--yes")["removed"] == []
    assert sync(cli, folder, "two", "--yes")["removed"] == ["camera.png"]
    assert set(items(client, "two")) == {
        *("astronaut.png", "pets/chelsea.png", "coffee.png", "rocket.jpg", "coins.png"),
        "grass.png",
    }


def test_items_that_came_another_way_stay_unless_they_are_adopted(
    cli: RunCli, client: Client, folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_SYNC_STATE", str(state.parent / "another-machine.sqlite"))
    assert cli("index", folder, "-c", "adopted", "--wait").code == 0
    monkeypatch.setenv("LOOKALIKE_SYNC_STATE", str(state))
    label_all(client, "adopted")
    (folder / "coins.png").rename(folder / "pets" / "coins.png")
    (folder / "camera.png").unlink()

    first = cli("sync", folder, "-c", "adopted", "--still", "0", "--yes")
    assert first.code == 0
    assert "2 items of the collection come from elsewhere" in first.out
    adopted = sync(cli, folder, "adopted", "--yes", "--adopt")

    assert sorted(adopted["removed"]) == ["camera.png", "coins.png"]
    assert len(items(client, "adopted")) == 5


def test_hidden_folders_and_our_own_data_are_passed_over(
    cli: RunCli, client: Client, folder: Path
) -> None:
    for name in (".thumbnails", "@eaDir", "data"):
        (folder / name).mkdir()
        shutil.copy(folder / "coins.png", folder / name / "coins.png")
    (folder / "data" / "up.lock").touch()

    assert sync(cli, folder, "clean")["files"] == 6
    assert client.count("clean") == 6


def test_a_folder_that_moved_takes_its_items_along_when_it_adopts_them(
    cli: RunCli, client: Client, folder: Path
) -> None:
    sync(cli, folder, "elsewhere")
    label_all(client, "elsewhere")
    moved = folder.rename(folder.with_name("pictures"))
    (moved / "coins.png").rename(moved / "money.png")

    stopped = cli("sync", moved, "-c", "elsewhere", "--still", "0")
    assert stopped.code == 1
    assert "pass --adopt" in stopped.out.replace("\n", " ")
    client.delete("elsewhere", ["money.png"])  # which that run took for a new file
    adopted = sync(cli, moved, "elsewhere", "--adopt")

    assert adopted["moved"] == [{"from": "coins.png", "to": "money.png"}]
    assert items(client, "elsewhere")["money.png"].metadata["was"] == "coins.png"
    assert sync(cli, moved, "elsewhere")["unchanged"] == 6


def test_a_name_that_is_mistyped_makes_no_collection(
    cli: RunCli, client: Client, tmp_path: Path
) -> None:
    for path, says in ((tmp_path / "none", "not there"), (tmp_path, "holds no image")):
        ran = cli("sync", path, "-c", "mistyped", "--json")
        assert ran.code == 1
        assert says in ran.json["error"]["message"]
        if path != tmp_path:
            assert "mistyped" not in {each.name for each in client.collections.list()}
