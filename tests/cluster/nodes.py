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
_ENDS_WITHIN_S = 15.0
# A node that is gone is known after 3 s; Ray's own default is 15.
_HEALTH = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "1000",
}
# How long a node looks for its head until it ends: Ray's own default is a minute, in which a
# busy machine may not start one. Without Ray's state in Redis it would look in vain.
_RECONNECT = "RAY_gcs_rpc_server_reconnect_timeout_s"
_RECONNECT_S, _RECONNECT_IN_VAIN_S = 300, 5
_ENVIRONMENT = {
    "RAY_raylet_start_wait_time_s": "280",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "protos", "client")),
    **_HEALTH,
}


class Node:
    """One node: `ray start --block` and what it has started."""

    def __init__(self, number: int, root: Path, redis: str = "") -> None:
        """Node 1 is the head; `redis` is the server that it keeps the cluster's state in."""
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

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it is part of the cluster.

        As a supervisor would, start it again where it gave up: a raylet waits 15 s for its
        agent, which a busy machine may not have started by then.
        """
        deadline_s = time.monotonic() + _START_S
        while True:
            log = self._launch()
            if self._joins(log, deadline_s):
                return
            self.kill()
            if time.monotonic() > deadline_s:
                raise AssertionError(f"node {self.address}: {log.read_text()[-2000:]}")

    def _launch(self) -> Path:
        """Start its process; return what it prints."""
        # A folder of its own for each start: a head that finds its former address in
        # `ray_current_cluster`, and a raylet on this host that belongs to it, refuses to start.
        self._starts += 1
        folder = self._root / f"n{self._number}-{self._starts}"
        folder.mkdir(parents=True)
        where = ["--address", f"{HEAD}:{PORT}"]
        if self.is_head:
            where = ["--head", "--port", str(PORT), "--include-dashboard", "false"]
        self._log = folder.with_suffix(".log").open("wb")
        reconnect_s = _RECONNECT_S if self._redis else _RECONNECT_IN_VAIN_S
        environment = {**os.environ, **_ENVIRONMENT, _RECONNECT: str(reconnect_s)}
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
        return folder.with_suffix(".log")

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as when a machine goes; nothing if it is gone.

        Returns once none is left: what the raylet started meanwhile would be found by the
        next start, which takes it for a cluster that is already running.
        """
        if self._process is None:
            return
        family = {self._process.pid}
        deadline_s = time.monotonic() + _ENDS_WITHIN_S
        while left := _descendants(family):
            assert time.monotonic() < deadline_s, f"node {self.address}: {left} do not end"
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            family |= left
            self._process.wait(_ENDS_WITHIN_S)
            time.sleep(0.05)
        self._process = None
        self._log.close()

    def _joins(self, log: Path, deadline_s: float) -> bool:
        """Wait until it is part of the cluster; False where it will not be."""
        assert self._process is not None
        raylet = log.with_suffix("") / "session_latest/logs/raylet.err"
        while b"block" not in log.read_bytes():
            ended = self._process.poll() is not None
            if ended or _gave_up(raylet) or time.monotonic() > deadline_s:
                return False
            time.sleep(0.2)
        while self.is_head and not _answers():
            time.sleep(0.1)
        return True


def _gave_up(log: Path) -> bool:
    return log.exists() and b"Timed out waiting for file" in log.read_bytes()


def _descendants(family: set[int]) -> set[int]:
    """Return those of `family` that run, and all that they have started, some in sessions of
    their own."""
    ancestors = _ancestors()
    found = set(family)
    while more := {pid for pid, above in ancestors.items() if above & found} - found:
        found |= more
    return found & ancestors.keys()


def _ancestors() -> dict[int, set[int]]:
    """Return the parent and the session of each process that has not ended."""
    found: dict[int, set[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if fields[0] not in ("Z", "X"):
                    found[int(path.name)] = {int(fields[1]), int(fields[3])}
    return found


def _answers() -> bool:
    with socket.socket() as probe:
        return not probe.connect_ex((HEAD, PORT))
