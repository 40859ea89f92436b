"""A collection that follows a folder, through the command line."""

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike_client import Client, Fields, Item
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import RunCli, command, environment

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "coins.png", "camera.png")
ALL = Fields(metadata=True, facts=True, vector=True, thumbnail=True)


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """Six photographs, one of them in a folder of its own; past the time files settle in."""
    target = tmp_path / "photos"
    (target / "pets").mkdir(parents=True)
    for name in NAMES:
        shutil.copy(photos / name, target / ("pets" if name == "chelsea.png" else ".") / name)
    return target


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state of this test's own."""
    path = tmp_path / "state" / "sync.sqlite"
    monkeypatch.setenv("LOOKALIKE_SYNC_STATE", str(path))
    return path


def items(client: Client, collection: str) -> dict[str, Item]:
    return {item.id: item for item in client.list(collection, fields=ALL)}


def sync(cli: RunCli, folder: Path, collection: str, *options: str) -> dict[str, Any]:
    ran = cli("sync", folder, "-c", collection, "--still", "0", "--json", *options)
    assert ran.code == 0, (ran.out, ran.err)
    found: dict[str, object] = ran.json
    return found


def label_all(client: Client, collection: str) -> None:
    """Give each item its own name, as of now, as metadata."""
    names = [item.id for item in client.list(collection)]
    client.update_metadata(collection, {name: {"was": name, "nested": {"n": 1}} for name in names})


def same_picture(one: Item, other: Item) -> bool:
    assert one.vector is not None
    assert other.vector is not None
    return (one.metadata, one.facts) == (other.metadata, other.facts) and bool(
        np.allclose(one.vector, other.vector, atol=1e-6)
    )


def test_moves_keep_vector_metadata_and_facts(cli: RunCli, client: Client, folder: Path) -> None:
    assert sorted(sync(cli, folder, "moved")["new"]) == sorted(
        name if name != "chelsea.png" else "pets/chelsea.png" for name in NAMES
    )
    label_all(client, "moved")
    before = items(client, "moved")
    (folder / "astronaut.png").rename(folder / "pets" / "astronaut.png")
    (folder / "coffee.png").rename(folder / "swap")
    (folder / "rocket.jpg").rename(folder / "coffee.png")
    (folder / "swap").rename(folder / "rocket.jpg")
    # A chain: each name is another's old one.
    (folder / "camera.png").rename(folder / "camera-2.png")
    (folder / "coins.png").rename(folder / "camera.png")

    done = sync(cli, folder, "moved")

    after = items(client, "moved")
    where = {
        "pets/astronaut.png": "astronaut.png",
        "coffee.png": "rocket.jpg",
        "rocket.jpg": "coffee.png",
        "camera-2.png": "camera.png",
        "camera.png": "coins.png",
        "pets/chelsea.png": "pets/chelsea.png",
    }
    assert set(after) == set(where)
    assert all(same_picture(after[new], before[old]) for new, old in where.items())
    assert {(m["from"], m["to"]) for m in done["moved"]} == {
        (old, new) for new, old in where.items() if new != old
    }
    assert (done["new"], done["changed"], done["removed"]) == ([], [], [])
    assert sync(cli, folder, "moved")["unchanged"] == 6


def test_moves_are_no_duplicates_of_their_old_selves(
    cli: RunCli, client: Client, folder: Path
) -> None:
    cli("collections", "create", "strict", "--duplicates", "reject", "--threshold", "0.95")
    sync(cli, folder, "strict")
    with Image.open(folder / "coins.png") as picture:
        edited = picture.convert("RGB").crop((2, 2, picture.width - 2, picture.height - 2))
    (folder / "coins.png").unlink()
    edited.save(folder / "coins-edited.png")  # moved and edited
    (folder / "rocket.jpg").rename(folder / "launch.jpg")

    done = sync(cli, folder, "strict", "--yes")

    assert done["moved"] == [{"from": "rocket.jpg", "to": "launch.jpg"}]
    assert (done["new"], done["removed"]) == (["coins-edited.png"], ["coins.png"])
    assert done["rejected"] == []
    assert {"launch.jpg", "coins-edited.png"} <= set(items(client, "strict"))


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
    cli: RunCli, client: Client, folder: Path
) -> None:
    assert cli("index", folder, "-c", "adopted", "--wait").code == 0
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


def test_a_file_that_is_still_being_written_is_waited_for(
    cli: RunCli, client: Client, folder: Path, photos: Path
) -> None:
    data = (photos / "motorcycle_left.png").read_bytes()
    writer = subprocess.Popen(
        [
            *("sh", "-c", 'for i in 1 2 3 4 5 6; do cat "$1.$i" >> "$2"; sleep 0.7; done', "sh"),
            *(str(folder.parent / "part"), str(folder / "slow.png")),
        ]
    )
    part = -(-len(data) // 6)
    for number in range(6):
        piece = data[number * part : (number + 1) * part]
        (folder.parent / f"part.{number + 1}").write_bytes(piece)
    try:
        wait_until((folder / "slow.png").exists)
        ran = cli("sync", folder, "-c", "slow", "--still", "0.4", "--json")
    finally:
        writer.wait(30)

    assert ran.code == 0, ran.err
    stored = items(client, "slow")["slow.png"]
    assert stored.facts is not None
    assert (stored.facts.size_bytes, stored.facts.truncated) == (len(data), False)
    assert len(ran.json["new"]) == 7


@pytest.mark.parametrize("when", ["moving", "sending"])
def test_a_run_that_was_killed_is_ended_by_the_next(
    cli: RunCli,
    client: Client,
    system: RunningSystem,
    folder: Path,
    state: Path,
    photos: Path,
    when: str,
) -> None:
    name = f"killed-{when}"
    sync(cli, folder, name)
    label_all(client, name)
    before = items(client, name)
    (folder / "coffee.png").rename(folder / "swap")
    (folder / "rocket.jpg").rename(folder / "coffee.png")
    (folder / "swap").rename(folder / "rocket.jpg")
    (folder / "coins.png").rename(folder / "money.png")
    (folder / "camera.png").unlink()
    for each in ("brick.png", "grass.png", "gravel.png", "moon.png"):
        shutil.copy(photos / each, folder / each)

    def begun() -> bool:
        with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as db:
            wanted = "move" if when == "moving" else "claim WHERE stored = 0"
            return bool(db.execute(f"SELECT 1 FROM {wanted} LIMIT 1").fetchone())

    running = subprocess.Popen(
        command("--address", system.search, "sync", folder, "-c", name, "--still", "0", "--yes"),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(begun, pause_s=0.001)
    running.send_signal(signal.SIGKILL)
    running.wait(10)

    again = sync(cli, folder, name, "--yes")

    after = items(client, name)
    where = {"coffee.png": "rocket.jpg", "rocket.jpg": "coffee.png", "money.png": "coins.png"}
    assert all(same_picture(after[new], before[old]) for new, old in where.items()), again
    assert set(after) == {
        *("astronaut.png", "pets/chelsea.png", "coffee.png", "rocket.jpg", "money.png"),
        *("brick.png", "grass.png", "gravel.png", "moon.png"),
    }
    assert sync(cli, folder, name)["unchanged"] == 9


@pytest.fixture
def watching(
    system: RunningSystem, folder: Path, tmp_path: Path
) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started = []

    def start(name: str) -> subprocess.Popen[str]:
        with (tmp_path / "watch.log").open("w") as log:
            process = subprocess.Popen(
                command("--address", system.search, "sync", folder, "-c", name, "--watch", "--yes"),
                env={**environment(), "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_a_watched_folder_is_followed(
    client: Client,
    folder: Path,
    watching: Callable[[str], subprocess.Popen[str]],
    photos: Path,
    tmp_path: Path,
) -> None:
    watching("watched")
    wait_until(lambda: "watching" in (tmp_path / "watch.log").read_text())
    label_all(client, "watched")
    version = items(client, "watched")["coins.png"]
    data = (photos / "brick.png").read_bytes()

    (folder / "coins.png").rename(folder / "pets" / "coins.png")
    (folder / "camera.png").unlink()
    with (folder / "slow.png").open("wb") as slow:
        for start in range(0, len(data), len(data) // 8 + 1):
            slow.write(data[start : start + len(data) // 8 + 1])
            slow.flush()
            time.sleep(0.5)
    wait_until(lambda: "slow.png" in items(client, "watched"))
    wait_until(lambda: "camera.png" not in items(client, "watched"))

    after = items(client, "watched")
    assert same_picture(after["pets/coins.png"], version)
    assert "coins.png" not in after
    assert after["slow.png"].facts is not None
    assert (after["slow.png"].facts.size_bytes, after["slow.png"].facts.truncated) == (
        len(data),
        False,
    )
    # The folder goes away, as a disk does: nothing is removed, and it is followed when it is back.
    away = folder.with_name("away")
    folder.rename(away)
    wait_until(lambda: "warning" in (tmp_path / "watch.log").read_text())
    assert len(items(client, "watched")) == 6
    away.rename(folder)
    shutil.copy(photos / "grass.png", folder / "grass.png")
    wait_until(lambda: "grass.png" in items(client, "watched"))


def wait_until(condition: Callable[[], bool], pause_s: float = 0.05) -> None:
    for _ in range(int(60 / pause_s)):
        try:
            if condition():
                return
        except (sqlite3.Error, OSError):
            pass
        time.sleep(pause_s)
    raise AssertionError("it never came")
