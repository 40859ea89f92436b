"""Runs builds in a child process and publishes what they make."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_service.durable_files import remove_tree
from search_service.segments.api import BuildJob, BuildResult
from search_service.segments.current import read_current, remove_unfinished, write_current
from search_service.segments.errors import BuildFailed, SegmentDamaged
from search_service.segments.manifest import Identity, Manifest, read_manifest

# The child runs below the server: with every core busy it gets about a tenth.
DEFAULT_NICE = 10
_LINES_KEPT = 20
# A spawned interpreter that imports what this one can, whatever put it on the path. It
# has its priority before: to import what it needs is much of the work of a seal.
_BOOT = (
    "import json, os, sys; sys.path[:] = json.loads(sys.argv[1]); os.nice(int(sys.argv[2]));"
    "from search_service.segments.building.child import main; main()"
)


@dataclass(frozen=True, slots=True)
class _Running:
    child: subprocess.Popen[str]
    thread: threading.Thread


class Builder:
    """One build at a time, and one seal beside it; every future is resolved."""

    def __init__(
        self, *, nice: int = DEFAULT_NICE, on_step: Callable[[int, str], None] | None = None
    ) -> None:
        """`on_step` gets the child's pid and each step that it reports."""
        self._nice = nice
        self._on_step = on_step
        self._lock = threading.Lock()
        self._running: dict[bool, _Running] = {}  # by `seal_only`
        self._closed = False

    def start(self, job: BuildJob) -> Future[BuildResult]:
        """Run `job`; the future fails with `BuildFailed` when the child does.

        Raises:
            BuildFailed: one of its kind is running, or the builder is closed.
        """
        with self._lock:
            if self._closed:
                raise BuildFailed("the builder is closed")
            busy = {kind for kind, one in self._running.items() if one.thread.is_alive()}
            if job.seal_only in busy:
                raise BuildFailed("a build of this kind is running already")
            if not busy:
                remove_unfinished(job.segments_path)
            child = self._spawn(0 if job.hurried else self._nice)
            future: Future[BuildResult] = Future()
            future.set_running_or_notify_cancel()
            thread = threading.Thread(
                target=self._attend, args=(job, child, future), name="segment-build", daemon=True
            )
            self._running[job.seal_only] = _Running(child, thread)
            thread.start()
        return future

    def withdraw(self, root: Path, name: str) -> None:
        """Take the segment `name` below `root` out of use; not beside a publication."""
        with self._lock:
            try:
                names = read_current(root)
            except SegmentDamaged:
                names = []
            write_current(root, [each for each in names if each != name])

    def close(self) -> None:
        """Kill running children by their pids; their futures fail."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for one in running:
            one.child.kill()  # nothing happens to one that has ended and been waited for
        for one in running:
            one.thread.join()

    def _spawn(self, nice: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(sys.path), str(nice)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            process_group=0,  # a Ctrl-C is the parent's to handle
        )

    def _attend(
        self, job: BuildJob, child: subprocess.Popen[str], future: Future[BuildResult]
    ) -> None:
        try:
            outcome = self._converse(job, child)
            with self._lock:
                if self._closed:
                    raise BuildFailed("the build was stopped")
                names = _publish(job, outcome)
            future.set_result(
                BuildResult(
                    paths=[job.segments_path / name for name in names],
                    upto_ordinal=job.upto_ordinal,
                )
            )
        except BuildFailed as error:
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - the future must be resolved, whatever failed
            failure = BuildFailed(f"the build could not be published: {error}")
            failure.__cause__ = error
            future.set_exception(failure)

    def _converse(self, job: BuildJob, child: subprocess.Popen[str]) -> dict[str, Any]:
        """Give the child its job, read it to its end, return its outcome."""
        said: deque[str] = deque(maxlen=_LINES_KEPT)
        outcome: dict[str, Any] | None = None
        with child:
            assert child.stdin is not None  # piped above
            assert child.stdout is not None  # piped above
            try:
                child.stdin.write(json.dumps(job.to_json()) + "\n")
            except BrokenPipeError:
                said.append("the child ended before it took its job")
            for line in child.stdout:
                message = _parse(line)
                if message is None:
                    said.append(line.rstrip())
                elif "step" not in message:
                    outcome = message
                elif self._on_step is not None:
                    self._on_step(child.pid, message["step"])
        if child.returncode < 0:
            raise BuildFailed(f"the builder was killed by signal {-child.returncode}")
        if child.returncode > 0 or outcome is None:
            last = said[-1] if said else "it said nothing"
            raise BuildFailed(f"the builder ended with status {child.returncode}: {last}")
        return outcome


def _parse(line: str) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _publish(job: BuildJob, outcome: dict[str, Any]) -> list[str]:
    """Put the new segment in the place of those whose range it covers."""
    root = job.segments_path
    try:
        names = read_current(root)
    except SegmentDamaged:
        names = []
    made = outcome["made"]
    if made is None:
        return names
    identity = Identity(job.uid, job.dimension, job.fingerprint)
    try:
        new = read_manifest(root / made, identity)
        kept = [name for name in names if _stays(root / name, identity, new)]
        write_current(root, [*kept, made])
    except BaseException:
        remove_tree(root / made)
        raise
    return [*kept, made]


def _stays(path: Path, identity: Identity, new: Manifest) -> bool:
    """Whether a segment lies outside the range of a new one.

    Raises:
        BuildFailed: it lies across an end of that range.
    """
    try:
        old = read_manifest(path, identity)
    except SegmentDamaged:
        return False
    if old.upto_ordinal <= new.after_ordinal or old.after_ordinal >= new.upto_ordinal:
        return True
    if old.after_ordinal >= new.after_ordinal and old.upto_ordinal <= new.upto_ordinal:
        return False
    raise BuildFailed("another build has covered a part of the same range meanwhile")
