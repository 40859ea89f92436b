"""Files that move, also when a run is killed."""

import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from lookalike_client import Client
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import RunCli, command, environment
from tests.e2e.sync.kit import NAMES, items, label_all, same_picture, sync, wait_until


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
    running.wait(60)

    again = sync(cli, folder, name, "--yes")

    after = items(client, name)
    where = {"coffee.png": "rocket.jpg", "rocket.jpg": "coffee.png", "money.png": "coins.png"}
    assert all(same_picture(after[new], before[old]) for new, old in where.items()), again
    assert set(after) == {
        *("astronaut.png", "pets/chelsea.png", "coffee.png", "rocket.jpg", "money.png"),
        *("brick.png", "grass.png", "gravel.png", "moon.png"),
    }
    assert sync(cli, folder, name)["unchanged"] == 9
