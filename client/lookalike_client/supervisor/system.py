"""The parts of a system, and the supervisor that keeps them running."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lookalike_client.supervisor.child import Child, ChildSpec
from lookalike_client.supervisor.errors import StartError

# How often children are looked at. A dead one is noticed within this time.
_TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts listen: "host:port"."""

    search: str
    embedder: str
    redis: str


@dataclass(slots=True)
class Supervisor:
    """Starts parts in the order of their dependencies and keeps them running.

    `report` takes lines for people. `stopping` is asked on every turn.
    """

    data: Path
    addresses: Addresses
    specs: Sequence[ChildSpec]
    report: Callable[[str], None]
    stopping: Callable[[], bool]
    _children: dict[str, Child] = field(default_factory=dict, init=False)

    def run(self, announce: Callable[[dict[str, object]], None]) -> None:
        """Run until `stopping`; `announce` once when all is ready, with what `up.json` holds.

        Raises:
            StartError: a part does not come up or does not stay up.
        """
        logs = self.data / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._children = {spec.name: Child(spec, logs, self.report) for spec in self.specs}
        announced = False
        try:
            while not self.stopping():
                changed = [child.step() for child in self._startable()]
                if any(changed):
                    self._write_state()
                if not announced and all(child.ready for child in self._children.values()):
                    announced = True
                    announce(self.state())
                time.sleep(_TICK_S)
        finally:
            self._stop()

    def state(self) -> dict[str, object]:
        """Return addresses and process ids, as JSON."""
        pids: dict[str, int | None] = {"supervisor": os.getpid()}
        pids.update((name, child.pid) for name, child in self._children.items())
        return {
            "search": self.addresses.search,
            "embedder": self.addresses.embedder,
            "redis": self.addresses.redis,
            "pids": pids,
        }

    def _startable(self) -> list[Child]:
        """Return children that run, or whose dependencies are ready."""
        return [
            child
            for child in self._children.values()
            if child.pid is not None or all(self._is_ready(name) for name in child.spec.after)
        ]

    def _is_ready(self, name: str) -> bool:
        child = self._children.get(name)
        return child is None or child.ready  # not among ours: an existing server

    def _stop(self) -> None:
        for child in reversed(self._children.values()):
            child.terminate()
            child.wait_stopped()
        (self.data / "up.json").unlink(missing_ok=True)

    def _write_state(self) -> None:
        """Replace `up.json`, for those who look for the present process ids."""
        draft = self.data / "up.json.new"
        draft.write_text(json.dumps(self.state()) + "\n", encoding="utf-8")
        draft.replace(self.data / "up.json")


class DataLock:
    """Locks a data directory against a second supervisor, until this process ends."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._file = (self._data / "up.lock").open("w")
        except OSError as error:
            reason = error.strerror or "unknown error"
            raise StartError(f"the data directory cannot be written: {reason}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise StartError(
                "the data directory is in use by another `lookalike up`: stop that one, "
                "or choose another directory with --data"
            ) from error

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
