"""Runs builds in a child process and publishes what they make."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search_service.segments.current import read_current, remove_unfinished, write_current
from search_service.segments.errors import BuildFailed, SegmentDamaged
from search_service.segments.files import remove_tree
from search_service.segments.manifest import Identity, read_manifest
from search_service.shard.segment_api import BuildJob, BuildResult

# The child runs below the server: with every core busy it gets about a tenth.
DEFAULT_NICE = 10
_LINES_KEPT = 20
# A spawned interpreter that imports what this one can, whatever put it on the path.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from search_service.segments.child import main; main()"
)


class Builder:
    """At most one child at a time; every future is resolved."""

    def __init__(
        self, *, nice: int = DEFAULT_NICE, on_step: Callable[[int, str], None] | None = None
    ) -> None:
        """`on_step` gets the child's pid and each step that it reports."""
        self._nice = nice
        self._on_step = on_step
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, job: BuildJob) -> Future[BuildResult]:
        """Run `job`; the future fails with `BuildFailed` when the child does.

        Raises:
            BuildFailed: a build is running, or the builder is closed.
        """
        with self._lock:
            if self._closed:
                raise BuildFailed("the builder is closed")
            if self._thread is not None and self._thread.is_alive():
                raise BuildFailed("a build is running already")
            remove_unfinished(job.segments_path)
            child = self._spawn()
            future: Future[BuildResult] = Future()
            future.set_running_or_notify_cancel()
            self._child = child
            self._thread = threading.Thread(
                target=self._attend, args=(job, child, future), name="segment-build", daemon=True
            )
            self._thread.start()
        return future

    def close(self) -> None:
        """Kill a running child by its pid; its future fails."""
        with self._lock:
            self._closed = True
            child, thread = self._child, self._thread
        if child is not None and child.poll() is None:
            child.kill()
        if thread is not None:
            thread.join()

    def _spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def _attend(
        self, job: BuildJob, child: subprocess.Popen[str], future: Future[BuildResult]
    ) -> None:
        started_s = time.monotonic()
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
                    elapsed_s=time.monotonic() - started_s,
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
                child.stdin.write(json.dumps({**_job_fields(job), "nice": self._nice}) + "\n")
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


def _job_fields(job: BuildJob) -> dict[str, Any]:
    fields = asdict(job)
    return {**fields, "store_path": str(job.store_path), "segments_path": str(job.segments_path)}


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
        kept = [name for name in names if not _replaced(root / name, identity, new.after_ordinal)]
        write_current(root, [*kept, made])
    except BaseException:
        remove_tree(root / made)
        raise
    return [*kept, made]


def _replaced(path: Path, identity: Identity, after_ordinal: int) -> bool:
    try:
        manifest = read_manifest(path, identity)
    except SegmentDamaged:
        return True
    # Builds reach to the newest ordinal: all that begins in their range ends in it.
    return manifest.after_ordinal >= after_ordinal
