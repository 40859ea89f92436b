"""Files that arrive slowly, and a folder that is watched."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike_client import Client
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import RunCli, command, environment
from tests.e2e.sync.kit import items, label_all, same_picture, wait_until


def test_a_file_that_is_still_being_written_is_waited_for(
    cli: RunCli, client: Client, folder: Path, photos: Path
) -> None:
    data = (photos / "motorcycle_left.png").read_bytes()
    part = -(-len(data) // 6)
    for number in range(6):
        piece = data[number * part : (number + 1) * part]
        (folder.parent / f"part.{number + 1}").write_bytes(piece)
    writer = subprocess.Popen(
        [
            *("sh", "-c", 'for i in 1 2 3 4 5 6; do cat "$1.$i" >> "$2"; sleep 0.7; done', "sh"),
            *(str(folder.parent / "part"), str(folder / "slow.png")),
        ]
    )
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


@pytest.fixture
def watching(
    system: RunningSystem, folder: Path, tmp_path: Path
) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started = []

    def start(name: str) -> subprocess.Popen[str]:
        arguments = ("--address", system.search, "sync", folder, "-c", name, "--watch", "--yes")
        with (tmp_path / "watch.log").open("w") as log:
            process = subprocess.Popen(
                # As in a terminal: what a job in the background starts ignores SIGINT.
                [*("env", "--default-signal=INT"), *command(*arguments)],
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
