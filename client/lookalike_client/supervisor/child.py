"""One supervised process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lookalike_client.supervisor import tied
from lookalike_client.supervisor.errors import StartError

# A child that dies this often in a row before it was ready is not started again.
MOST_FAILED_STARTS = 5
# Nor one that ended by itself when it has been tried for so long: what it lacks, it
# will lack again, and it may take a minute to find that out each time.
TRY_FOR_S = 15.0
_LAST_LINES = 3
# What a part ends with whose settings cannot work: no second start will mend that.
_WRONG_SETTINGS = 2
# A child that was ready for so long and dies is restarted as if for the first time.
STEADY_S = 30.0
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0
_STOP_TICK_S = 0.02
_MAX_LOG_BYTES = 16 << 20
_MAX_START_LOG_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. `grace_s` is given to stop.

    `ready` is asked until it is true; None waits for the child's line
    {"event": "serving", …} on stdout.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool] | None = None
    after: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    ready_within_s: float = 180.0
    grace_s: float = 15.0


class Child:
    """A process that is started, watched and started again when it dies.

    To be used from one thread that outlives the processes: the kernel ends them
    with the thread that started them.
    """

    def __init__(self, spec: ChildSpec, logs: Path, report: Callable[[str], None]) -> None:
        self.spec = spec
        self.ready = False
        self._log_path = logs / f"{spec.name}.log"
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0
        self._failed_starts = 0
        self._quick_deaths = 0
        self._started_s = 0.0
        self._first_start_s: float | None = None
        self._start_at_s = 0.0

    @property
    def pid(self) -> int | None:
        """The process's id; None while it is down."""
        return self._process.pid if self._process is not None else None

    def step(self) -> bool:
        """Start, look after and restart the process; return whether anything changed.

        Raises:
            StartError: it dies again and again before it is ready, or never gets so.
        """
        now_s = time.monotonic()
        if self._process is None:
            if now_s < self._start_at_s:
                return False
            self._start(now_s)
            return True
        if _has_ended(self._process.pid):
            self._bury(self._process, now_s)
            return True
        if not self.ready and self._is_ready():
            self.ready, self._failed_starts, self._first_start_s = True, 0, None
            return True
        if not self.ready and now_s - self._started_s > self.spec.ready_within_s:
            raise StartError(
                f"{self.spec.name} was not ready within {self.spec.ready_within_s:.0f} s; "
                f"its log ends: {self.last_words()}"
            )
        return False

    def terminate(self) -> None:
        """Ask the process to stop."""
        if self._process is not None:
            self._signal_child(self._process, signal.SIGTERM)

    def wait_stopped(self) -> None:
        """Wait until the process is gone; it is killed after its grace."""
        process = self._process
        if process is None:
            return
        deadline_s = time.monotonic() + self.spec.grace_s
        while not _has_ended(process.pid):
            if time.monotonic() >= deadline_s:
                self._report(f"{self.spec.name} does not stop; killing it")
                break
            time.sleep(_STOP_TICK_S)
        _kill_group(process.pid)
        process.wait()
        self._process, self.ready = None, False

    def last_words(self) -> str:
        """Return the last lines that the process wrote, in one."""
        try:
            with self._log_path.open("rb") as log:
                log.seek(self._log_offset)
                lines = log.read()[-4096:].decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return "(no log)"
        said = [line.strip()[:300] for line in lines if line.strip()]
        return " | ".join(said[-_LAST_LINES:]) if said else "(nothing)"

    def _is_ready(self) -> bool:
        if self.spec.ready is not None:
            return self.spec.ready()
        return any(_says_serving(line) for line in self._log_lines())

    def _log_lines(self) -> list[bytes]:
        """Return what this process wrote, the first part of it: enough for its start."""
        with self._log_path.open("rb") as log:
            log.seek(self._log_offset)
            return log.read(_MAX_START_LOG_BYTES).splitlines()

    def _start(self, now_s: float) -> None:
        command = [sys.executable, "-I", tied.__file__, str(os.getpid()), *self.spec.command]
        with self._open_log() as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.spec.environment},
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops in order
            )
        self._started_s = now_s
        if self._first_start_s is None:
            self._first_start_s = now_s

    def _bury(self, process: subprocess.Popen[bytes], now_s: float) -> None:
        # Before it is reaped, since its id could be another's after that.
        _kill_group(process.pid)
        how = _how_it_ended(process.wait())
        was_ready, self.ready, self._process = self.ready, False, None
        if not was_ready:
            if process.returncode == _WRONG_SETTINGS:
                raise StartError(f"{self.spec.name} cannot start so: {self.last_words()}")
            self._failed_starts += 1
        if self._failed_starts >= MOST_FAILED_STARTS or self._is_tried_enough(
            process.returncode, now_s
        ):
            times = "" if self._failed_starts == 1 else f" {self._failed_starts} times"
            raise StartError(
                f"{self.spec.name} {how}{times} before it was ready; "
                f"its log ends: {self.last_words()}"
            )
        steady = was_ready and now_s - self._started_s >= STEADY_S
        self._quick_deaths = 0 if steady else self._quick_deaths + 1
        delay_s = min(_FIRST_DELAY_S * 2.0**self._quick_deaths, _LONGEST_DELAY_S)
        self._start_at_s = now_s + delay_s
        self._report(f"{self.spec.name} {how}; starting it again in {delay_s:.1f} s")

    def _is_tried_enough(self, code: int, now_s: float) -> bool:
        """Whether a part that was not ready and ended by itself has had its time."""
        tried_s = 0.0 if self._first_start_s is None else now_s - self._first_start_s
        return self._failed_starts > 0 and code >= 0 and tried_s >= TRY_FOR_S

    def _open_log(self) -> IO[bytes]:
        if self._log_path.exists() and self._log_path.stat().st_size > _MAX_LOG_BYTES:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))
        log = self._log_path.open("ab")
        self._log_offset = log.tell()
        return log

    def _signal_child(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        try:
            process.send_signal(number)
        except ProcessLookupError:
            return  # it has ended already


def _says_serving(line: bytes) -> bool:
    if b'"serving"' not in line:
        return False
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("event") == "serving"


def _has_ended(pid: int) -> bool:
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    return ended is not None


def _kill_group(pid: int) -> None:
    """Kill what a child may have left in its process group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was killed by {signal.Signals(-code).name}"
