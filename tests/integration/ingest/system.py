"""The four processes, as they are deployed: queue, embedder, search service, worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from tests.children import children_of
from tests.integration.ingest.valkey import Valkey

ROOT = Path(__file__).resolve().parents[3]


class Program:
    """One `python -m` process with a fixed port, which says when it serves."""

    def __init__(self, directory: Path, name: str, arguments: list[str]) -> None:
        self.name = name
        self._arguments = arguments
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self.serving: dict[str, object] = {}

    def start(self, timeout_s: float = 60.0) -> None:
        """Start and wait until it serves."""
        self.launch()
        self.wait_serving(timeout_s)

    def launch(self) -> None:
        """Start without waiting."""
        path = os.pathsep.join(str(ROOT / part) for part in ("", "protos", "client"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def wait_serving(self, timeout_s: float = 60.0) -> None:
        """Wait for the line that says so; raises what the log ends with."""
        process = self._running()
        assert process.stdout is not None
        self._output = process.stdout
        watch = threading.Timer(timeout_s, process.kill)
        watch.start()
        line = process.stdout.readline()
        watch.cancel()
        if not line:
            process.wait()
            raise RuntimeError(f"{self.name} did not start: {self.log()[-2000:]}")
        self.serving = json.loads(line)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._gone()

    def terminate(self, timeout_s: float = 30.0) -> int:
        """SIGTERM; return the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return self._gone(timeout_s)

    def log(self) -> str:
        """What it wrote to its log so far."""
        return self._log.read_text() if self._log.exists() else ""

    def cpu_s(self) -> float:
        """Processor time used so far, in seconds, by it and by the processes that it started."""
        pid = self._running().pid
        return sum(map(_cpu_s, (pid, *children_of(pid))))

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} is not running"
        return self._process

    def _gone(self, timeout_s: float = 30.0) -> int:
        process = self._running()
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = -99
        if self._output is not None:
            self._output.close()
        self._process = None
        return code


class System:
    """All four, on ports that stay the same over restarts.

    Without a `model` the embedder is a stub that needs none. `queue_options` are those of
    the queue's server, those of the others further ones of theirs.
    """

    def __init__(
        self,
        directory: Path,
        *,
        model: str = "",
        stub_delay_s: float = 0.0,
        queue_options: tuple[str, ...] = (),
        search_options: tuple[str, ...] = (),
        embedder_options: tuple[str, ...] = (),
        worker_options: tuple[str, ...] = (),
    ) -> None:
        self.valkey = Valkey(directory, *queue_options)
        ports = [_free_port() for _ in range(2)]
        self.embedder_address, self.search_address = (f"127.0.0.1:{port}" for port in ports)
        stub = ["tests.integration.ingest.embedder_stub", "--delay-s", str(stub_delay_s)]
        module = ["embedder_service", "--models", model] if model else stub
        self.embedder = Program(
            directory, "embedder", [*module, "--port", str(ports[0]), *embedder_options]
        )
        self.search = Program(
            directory,
            "search",
            [
                *("search_service", "--data", str(directory / "data"), "--port", str(ports[1])),
                *("--redis", self.valkey.url, "--embedders", self.embedder_address),
                *search_options,
            ],
        )
        self.worker = Program(
            directory,
            "worker",
            [
                *("embedder_service.worker", "--redis", self.valkey.url, "--name", "worker-1"),
                *("--embedder", self.embedder_address, "--search", self.search_address),
                *worker_options,
            ],
        )

    @property
    def programs(self) -> tuple[Program, Program, Program]:
        return (self.embedder, self.search, self.worker)

    def start(self) -> None:
        """Start all; return when all serve."""
        self.valkey.start()
        self.embedder.launch()
        self.search.launch()
        for program in (self.embedder, self.search):
            program.wait_serving()
        self.worker.start()

    def stop(self) -> None:
        """Stop whatever runs."""
        deadline = time.monotonic() + 30
        for program in reversed(self.programs):
            program.terminate(max(1.0, deadline - time.monotonic()))
        self.valkey.stop()


def _cpu_s(pid: int) -> float:
    """Processor time of a process and of those children of it that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
