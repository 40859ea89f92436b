"""The queue's server: its configuration, and that it takes it."""

import subprocess
from pathlib import Path

from lookalike_client.supervisor import redis_server
from lookalike_client.supervisor.ports import ReservedPort
from tests.unit.lookalike_client.supervisor.waiting import eventually


def test_a_server_of_seven_or_later_is_found() -> None:
    shown = subprocess.run(
        [redis_server.find_binary(), "--version"], capture_output=True, text=True, check=True
    )

    assert int(shown.stdout.split("v=")[1].split(".")[0]) >= redis_server.LEAST_MAJOR


def test_the_server_takes_the_configuration(tmp_path: Path) -> None:
    """In a folder whose name needs quoting, and on a port that stays reserved meanwhile."""
    port = ReservedPort.reserve(0, "--redis-port")
    folder = tmp_path / 'with "quotes" and spaces'
    config = redis_server.write_config(folder, port.number, max_memory_mib=64)
    server = subprocess.Popen(
        [redis_server.find_binary(), config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        eventually(lambda: redis_server.answers(port.number))
        assert (folder / "appendonlydir").is_dir()
    finally:
        server.terminate()
        server.communicate(timeout=20)
        port.release()

    assert not redis_server.answers(port.number)


def test_acceptance_is_durable_and_nothing_is_evicted(tmp_path: Path) -> None:
    lines = redis_server.config_text(tmp_path, 7000, 100).splitlines()

    assert {"appendonly yes", "appendfsync always", "maxmemory-policy noeviction"} <= set(lines)
    assert {"bind 127.0.0.1", "port 7000", "maxmemory 100mb"} <= set(lines)
