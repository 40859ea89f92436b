"""Starts `lookalike up` as a process of its own, for programs that need a system."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from lookalike_client.supervisor.errors import StartError

# Longer than the parts' own graces together: see `parts`.
_STOP_WITHIN_S = 90.0


@dataclass(slots=True)
class RunningSystem:
    """A system that runs from `with` to the end of its block.

    `options` are further options of `lookalike up`; ports are free ones. The page is started
    where they hold "--web"; its link is `addresses["web"]`.
    """

    data: Path
    options: Sequence[str] = ()
    addresses: dict[str, str] = field(default_factory=dict, init=False)
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        command = [
            *(sys.executable, "-m", "lookalike_client", "up", "--json"),
            *("--data", str(self.data)),
            *("--search-port", "0", "--embedder-port", "0", "--redis-port", "0"),
            *self.options,
            *(("--web-port", "0") if "--web" in self.options else ("--no-web",)),
        ]
        logs = self.data / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / "up.log").open("wb") as complaints:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,  # Ctrl-C is for us: we stop it in order
                # It finds the packages where we found them.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._process = process
        try:
            self._read_announcement(process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def search(self) -> str:
        """The search service's address."""
        return self.addresses["search"]

    @property
    def pids(self) -> dict[str, int]:
        """The present process ids by part, "supervisor" included."""
        state = json.loads((self.data / "up.json").read_text(encoding="utf-8"))
        return dict(state["pids"])

    def stop(self) -> None:
        """Stop the system in order."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()  # its children end with it
            process.communicate()
        self._process = None

    def _read_announcement(self, process: subprocess.Popen[str]) -> None:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            process.wait(timeout=_STOP_WITHIN_S)
            said = (self.data / "logs" / "up.log").read_text(encoding="utf-8").splitlines()
            raise StartError(said[-1] if said else "the system ended without a word")
        self.addresses = {
            key: value for key, value in json.loads(line).items() if isinstance(value, str)
        }
