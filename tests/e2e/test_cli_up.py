"""`lookalike up`: a system that comes up, stays up, and goes away."""

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lookalike.wire.errors import Unavailable
from lookalike_client import Client, Query
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import UP_OPTIONS, command, environment, run_cli

PARTS = {"redis", "embedder", "search", "worker"}
FREE_PORTS = ("--search-port", "0", "--embedder-port", "0", "--redis-port", "0")


def eventually(holds: Callable[[], bool], within_s: float = 60) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "did not come true in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and is not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> set[int]:
    """The process ids below `pid`, at any depth."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.mark.parametrize("answering", [True, False])
def test_proxies_of_the_environment_have_nothing_to_do_with_it(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, answering: bool
) -> None:
    """One that takes connections and says nothing, and one that refuses them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for name in ("grpc_proxy", "https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy)
        if not answering:
            listener.close()
        with RunningSystem(tmp_path, UP_OPTIONS) as running:
            address = ("--address", running.search)
            indexed = run_cli("index", photo, "--wait", "--json", *address)
            found = run_cli("search", photo, "--json", *address)

    assert indexed.json["stored"] == 1
    assert found.json["hits"][0]["score"] > 0.999


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """An `up` of the test's own, and the line that it printed."""
    process = subprocess.Popen(
        command("up", "--data", tmp_path / "data", "--json", "--no-web", *UP_OPTIONS, *FREE_PORTS),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=90)
        process.stdout.close()


def test_sigterm_stops_all_in_order(
    started: tuple[subprocess.Popen[str], dict[str, Any]], tmp_path: Path
) -> None:
    process, announced = started
    assert set(announced["pids"]) == PARTS | {"supervisor"}
    assert announced["pids"]["supervisor"] == process.pid
    below = descendants(process.pid)
    assert below >= set(announced["pids"].values()) - {process.pid}
    assert run_cli("--address", announced["search"], "status").code == 0
    second = run_cli("up", "--data", tmp_path / "data", *FREE_PORTS)
    assert (second.code, second.err.count("\n")) == (1, 1)
    assert "in use by another" in second.err

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=90) == 0
    assert process.stdout is not None
    assert process.stdout.read() == ""
    assert not [pid for pid in below if alive(pid)]
    assert not (tmp_path / "data" / "up.json").exists()


def test_nothing_outlives_a_killed_supervisor(
    started: tuple[subprocess.Popen[str], dict[str, Any]],
) -> None:
    process, _ = started
    below = descendants(process.pid)
    assert len(below) >= len(PARTS)

    process.kill()
    process.wait()

    eventually(lambda: not [pid for pid in below if alive(pid)])


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        ran = run_cli("up", "--data", tmp_path, "--search-port", port)

    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert f"port {port} is in use" in ran.err
    assert "--search-port" in ran.err


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("torchvision:no-such-model", "no-such-model"),
        ("timm:resnet18=no-such-file.pth", "no-such-file.pth"),
        # Not asked for by any name that is cached, and no proxy is there to reach it by.
        ("timm:resnet18.fb_ssl_yfcc100m_ft_in1k", "give a file"),
    ],
)
def test_a_part_that_never_starts_is_given_up(
    model: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    ran = run_cli("up", "--data", tmp_path, "--model", model, *FREE_PORTS)

    assert (ran.code, ran.out) == (1, "")
    last = ran.err.splitlines()[-1]
    assert last.startswith("error: embedder cannot start so:")
    assert told in last


def test_a_redis_that_does_not_let_us_in_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]

    ran = run_cli("up", "--data", tmp_path, "--redis", f"redis://:secret@127.0.0.1:{port}")

    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert f"no Redis answers at 127.0.0.1:{port}" in ran.err
    assert "secret" not in ran.err


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """400 small pictures, all different, cut from real ones."""
    folder = tmp_path_factory.mktemp("many")
    chance = random.Random(7)
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg"):
        with Image.open(photos / name) as opened:
            picture = opened.convert("RGB")
        for number in range(100):
            side = chance.randrange(120, 260)
            left = chance.randrange(picture.width - side)
            top = chance.randrange(picture.height - side)
            cut = picture.crop((left, top, left + side, top + side))
            cut.save(folder / f"{Path(name).stem}-{number:03}.jpg", quality=90)
    return folder


@contextmanager
def indexing(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """`lookalike index` in a process of its own, which ends with the block."""
    process = subprocess.Popen(
        # As in a terminal: what a job in the background starts ignores SIGINT.
        ["env", "--default-signal=INT", *command(*arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def exists(client: Client, collection: str) -> bool:
    return any(each.name == collection for each in client.collections.list())


def grows(client: Client, collection: str) -> None:
    """Wait until more is stored than now."""
    before: list[int] = []

    def more() -> bool:
        try:
            before.append(client.count(collection))
        except Unavailable:  # the search service is being started again
            return False
        return before[-1] > before[0]

    eventually(more)


def kill(system: RunningSystem, part: str) -> None:
    """Kill a part and wait until another has taken its place."""
    pid = system.pids[part]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: system.pids[part] not in (pid, None))


def test_a_run_survives_the_death_of_each_part(
    system: RunningSystem, client: Client, many: Path
) -> None:
    arguments = ("--address", system.search, "index", many, "-c", "killed", "--wait", "--json")
    with indexing(*arguments) as run:
        eventually(lambda: exists(client, "killed"))
        for part in ("worker", "search", "redis", "embedder"):
            grows(client, "killed")
            assert run.poll() is None, "the run was over before it could be disturbed"
            kill(system, part)

        out, err = run.communicate(timeout=180)

    assert run.returncode == 0, (out, err)
    report = json.loads(out)
    assert (report["files"], report["failed"]) == (400, [])
    assert report["stored"] == client.count("killed") == 400
    ids = [item.id for item in client.list("killed")]
    assert ids == sorted(path.name for path in many.iterdir())
    (hit,) = client.search("killed", Query.by_image(many / ids[123]), limit=1).hits
    assert hit.score >= 0.999


def test_an_interrupted_run_goes_on_where_it_was(
    system: RunningSystem, client: Client, many: Path
) -> None:
    arguments = ("--address", system.search, "index", many, "-c", "resumed", "--wait", "--json")
    with indexing(*arguments) as first:
        eventually(lambda: exists(client, "resumed"))
        eventually(lambda: client.count("resumed") >= 20)
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=60)
    eventually(lambda: client.ingest_status().queue_depth == 0)
    there = client.count("resumed")
    second = run_cli(*arguments)

    assert (first.returncode, json.loads(out)["error"]["reason"]) == (130, "INTERRUPTED")
    assert "run the same command again" in err
    assert "Traceback" not in err
    assert second.code == 0, second.err
    assert second.json["unchanged"] == there
    assert second.json["queued"] == 400 - there
    assert client.count("resumed") == 400
