"""`lookalike index --wait` while the queue's server forgets: it ends, tells what was lost,
and its next run sends just that."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from lookalike.serving.queue.keys import QueueKeys
from lookalike_client import Client
from tests.integration.ingest.system import System

# Far more than a worker has in hand, which ends as stored.
COUNT = 800
# Long enough for a slow machine; a run that does not end is the fault that is looked for.
ENDS_WITHIN_S = 90


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A slow embedder, and a queue that forgets all when it is killed."""
    system = System(tmp_path, stub_delay_s=0.01, queue_options=("--appendonly", "no"))
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"{number:04}.jpg").write_bytes(f"picture {number}".encode())
    return folder


def command(system: System, *arguments: str | Path) -> list[str]:
    address = ("--address", system.search_address)
    return [sys.executable, "-m", "lookalike_client", *address, *map(str, arguments)]


def ran(system: System, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as in a pipe of a terminal of 80 columns."""
    return subprocess.run(
        command(system, *arguments),
        check=False,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
    )


def indexed(system: System, folder: Path, forget: Callable[[System], None]) -> Any:
    """Index a folder; let the queue's server forget when some is stored and the rest waits."""
    arguments = command(system, "index", folder, "-c", "lost", "--wait", "--json")
    with Client(system.search_address) as client:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: in_the_middle(client))
            forget(system)
            out, _ = process.communicate(timeout=ENDS_WITHIN_S)
        finally:
            process.kill()
            process.wait()
    return process.returncode, json.loads(out)


def in_the_middle(client: Client) -> bool:
    names = [each.name for each in client.collections.list()]
    stored = client.count("lost") if "lost" in names else 0
    return stored > 10 and client.ingest_status().queue_depth > COUNT // 2


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def flush(system: System) -> None:
    with Redis.from_url(system.valkey.url) as redis:
        redis.flushall()


def kill(system: System) -> None:
    system.valkey.kill()
    system.valkey.start()


@pytest.mark.parametrize("forget", [flush, kill])
def test_a_run_tells_what_was_lost_and_the_next_sends_just_that(
    system: System, folder: Path, forget: Callable[[System], None]
) -> None:
    code, first = indexed(system, folder, forget)

    lost = first["lost"]
    assert code == 1
    assert 0 < len(lost) < COUNT
    assert (first["stored"] + len(lost), first["failed"]) == (COUNT, [])
    shown = ran(system, "status")
    assert f"{len(lost)} by the queue's server" in " ".join(shown.stdout.split())
    status = json.loads(ran(system, "status", "--json").stdout)["ingest"]
    assert status["lost"] == len(lost)
    assert any("append-only" in warning for warning in status["warnings"])
    assert "append-only" in shown.stdout
    listed = json.loads(ran(system, "failures", "-c", "lost", "--json").stdout)["failures"]
    assert sorted(each["id"] for each in listed) == lost
    retried = json.loads(ran(system, "failures", "-c", "lost", "--retry", "--json").stdout)
    assert retried["retried"] == 0

    again = ran(system, "index", folder, "-c", "lost", "--wait", "--json")
    second = json.loads(again.stdout)

    assert again.returncode == 0, again.stderr
    assert (second["queued"], second["stored"]) == (len(lost), len(lost))
    assert (second["unchanged"], second["lost"]) == (COUNT - len(lost), [])
    ended = json.loads(ran(system, "status", "--json").stdout)["ingest"]
    assert (ended["lost"], ended["failures"]) == (0, 0)


def test_a_run_ends_though_its_outcomes_are_forgotten(system: System, folder: Path) -> None:
    """Outcomes wait at the queue's server: those gone before they are read are looked up."""
    (folder / "poison.jpg").write_bytes(b"poison")
    events = QueueKeys().job_events("untold")
    arguments = command(system, "index", folder, "-c", "untold", "--job", "untold", "--wait")
    process = subprocess.Popen([*arguments, "--json"], stdout=subprocess.PIPE, text=True)
    forgotten = 0
    try:
        with Redis.from_url(system.valkey.url) as redis:
            while process.poll() is None:
                forgotten += int(redis.delete(events))
        out, _ = process.communicate(timeout=ENDS_WITHIN_S)
    finally:
        process.kill()
        process.wait()
    told = json.loads(out)

    assert forgotten > COUNT // 2
    assert process.returncode == 1
    assert (told["stored"], told["lost"]) == (COUNT, [])
    assert [(each["id"], each["reason"]) for each in told["failed"]] == [
        ("poison.jpg", "IMAGE_UNREADABLE")
    ]
