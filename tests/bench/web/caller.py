"""The page's server as a process, and requests to it on one connection."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TOKEN = "token-of-the-measurement"


class Caller:
    """Sends requests as the page does."""

    def __init__(self, port: int, pid: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._headers = {
            "host": f"127.0.0.1:{port}",
            "authorization": f"Bearer {_TOKEN}",
            "content-type": "application/json",
        }
        self._pid = pid

    def get(self, path: str) -> dict[str, Any]:
        """Read something."""
        return self._send("GET", path, None)

    def post(self, path: str, body: object) -> dict[str, Any]:
        """Ask for something with a body."""
        return self._send("POST", path, json.dumps(body).encode())

    def memory_mb(self) -> float:
        """Return the server's resident memory."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _send(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        self._connection.request(method, f"/ui/{path}", body, self._headers)
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise ValueError(f"{path}: {answer}")
        return answer


@contextmanager
def page_of(address: str, work: Path) -> Iterator[Caller]:
    """Run `lookalike web` before a search service."""
    command = [
        *(sys.executable, "-m", "lookalike_client", "web", "--json"),
        *("--address", address, "--port", "0"),
    ]
    environment = {
        **os.environ,
        "LOOKALIKE_WEB_TOKEN": _TOKEN,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    with (work / "web.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
    try:
        assert process.stdout is not None
        port = int(json.loads(process.stdout.readline())["port"])
        caller = Caller(port, process.pid)
        yield caller
        caller.close()
    finally:
        process.terminate()
        process.wait()
