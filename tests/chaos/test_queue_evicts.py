"""The queue's server is filled to its `maxmemory` in the middle of a job, and evicts.

Flushed and restarted empty: `tests/integration/ingest/test_ingest_lost_index.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from tests.integration.ingest.system import System
from tests.integration.ingest.test_ingest_lost_index import COUNT, indexed, ran, wait_until

pytestmark = pytest.mark.chaos

# Of what fills the server: large against the entries of the queue.
_BALLAST_BYTES = 256 * 1024


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A slow embedder, so that a job has a middle."""
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


def _lanes(redis: Redis) -> int:
    return sum(1 for _ in redis.scan_iter("*:queue*"))


def evict(system: System) -> None:
    """Fill the server until keys of the queue are evicted; then take it all back."""
    with Redis.from_url(system.valkey.url) as redis:
        before = _lanes(redis)
        redis.config_set("maxmemory-policy", "allkeys-random")
        redis.config_set("maxmemory", str(int(redis.info("memory")["used_memory"])))
        for number in range(2_000):
            try:
                redis.set(f"ballast:{number}", b"x" * _BALLAST_BYTES)
            except OutOfMemoryError:
                break  # there is nothing left to evict
            if _lanes(redis) < before and number > 20:
                break
        assert redis.info("stats")["evicted_keys"] > 0
        assert _lanes(redis) < before
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", "0")
        for key in redis.scan_iter("ballast:*"):
            redis.delete(key)


def fill(system: System) -> None:
    """Fill the server with nothing evicted, so that it takes no more; then make room."""
    with Redis.from_url(system.valkey.url) as redis:
        redis.config_set("maxmemory", str(int(redis.info("memory")["used_memory"])))
        with pytest.raises(OutOfMemoryError):
            redis.set("ballast", b"x" * _BALLAST_BYTES)
        wait_until(lambda: redis.info("stats")["total_error_replies"] > 0)
        redis.config_set("maxmemory", "0")


def test_a_run_ends_and_tells_what_was_evicted_and_the_next_sends_just_that(
    system: System, folder: Path
) -> None:
    code, first = indexed(system, folder, evict)

    lost = first["lost"]
    assert code == 1
    assert 0 < len(lost) < COUNT
    assert (first["stored"] + len(lost), first["failed"]) == (COUNT, [])
    status = json.loads(ran(system, "status", "--json").stdout)["ingest"]
    assert status["lost"] == len(lost)
    assert "lost accepted mutations" in system.search.log()

    def mended() -> bool:
        # What was set to evict is looked at every few seconds.
        said = json.loads(ran(system, "status", "--json").stdout)["ingest"]["warnings"]
        return not any("evict" in warning for warning in said)

    wait_until(mended)
    again = ran(system, "index", folder, "-c", "lost", "--wait", "--json")
    second = json.loads(again.stdout)

    assert again.returncode == 0, again.stderr
    assert (second["queued"], second["stored"]) == (len(lost), len(lost))
    assert (second["unchanged"], second["lost"]) == (COUNT - len(lost), [])


def test_a_run_goes_on_when_a_full_server_has_room_again(system: System, folder: Path) -> None:
    code, told = indexed(system, folder, fill)

    assert (code, told["stored"], told["lost"], told["failed"]) == (0, COUNT, [], [])
