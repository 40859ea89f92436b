"""Ray nodes on loopback addresses, each with a folder of its own, each ended by its own pid.

Started one after another, as `ray start` itself does it on different machines.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = "127.0.0.11"
PORT = 6391
_START_S = 300.0
# A node that is gone is known after 3 s; Ray's own default is 15.
_HEALTH = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "1000",
}
_ENVIRONMENT = {
    "RAY_raylet_start_wait_time_s": "280",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "protos", "client")),
    **_HEALTH,
}


class Node:
    """One node: `ray start --block` and what it has started."""

    def __init__(self, number: int, root: Path, redis: str = "") -> None:
        """Node 1 is the head; with `redis` it keeps the cluster's state there."""
        self.address = f"127.0.0.1{number}"
        self._number = number
        self._root = root
        self._redis = redis
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_head(self) -> bool:
        """Whether it is the head."""
        return self._number == 1

    def start(self) -> None:
        """Start it and wait until it is part of the cluster."""
        # A folder of its own for each start: a head that finds its former address in
        # `ray_current_cluster`, and a raylet on this host that belongs to it, refuses to start.
        self._starts += 1
        folder = self._root / f"n{self._number}-{self._starts}"
        folder.mkdir(parents=True)
        where = ["--address", f"{HEAD}:{PORT}"]
        if self.is_head:
            where = ["--head", "--port", str(PORT), "--include-dashboard", "false"]
        self._log = folder.with_suffix(".log").open("wb")
        environment = {**os.environ, **_ENVIRONMENT}
        if self._redis and self.is_head:
            environment["RAY_REDIS_ADDRESS"] = self._redis
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", *where),
                *("--node-ip-address", self.address, "--temp-dir", str(folder)),
                *("--num-cpus", "8", "--object-store-memory", str(80_000_000)),
                *("--disable-usage-stats", "--block"),
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self._wait(folder.with_suffix(".log"))

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as when a machine goes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(15)
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        for pid in self._family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        self._process.wait(15)
        self._process = None
        self._log.close()

    def _family(self) -> set[int]:
        """Return the process, and all that it has started, some in sessions of their own."""
        assert self._process is not None
        found = {self._process.pid}
        parents = _parents()
        while more := {pid for pid, ancestors in parents.items() if ancestors & found} - found:
            found |= more
        return found

    def _wait(self, log: Path) -> None:
        deadline_s = time.monotonic() + _START_S
        while b"block" not in log.read_bytes():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError(f"node {self.address}: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        if self.is_head:
            while not _answers():
                time.sleep(0.1)


def _parents() -> dict[int, set[int]]:
    """Return the parent and the session of each process."""
    found: dict[int, set[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                found[int(path.name)] = {int(fields[1]), int(fields[3])}
    return found


def _answers() -> bool:
    with socket.socket() as probe:
        return not probe.connect_ex((HEAD, PORT))
