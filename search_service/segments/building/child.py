"""The builder's child process: one job in, progress and the outcome out.

The job is a line of JSON on standard input, which stays open: its end means that
the parent is gone, by whatever death, and ends the child. Each line of JSON on
standard output is a step, or at last the outcome.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from search_service import child_memory
from search_service.segments.api import BuildJob
from search_service.segments.building.assembly import Assembly, Step
from search_service.segments.building.planning import (
    Action,
    BuildPlan,
    Current,
    make_plan,
    make_seal_plan,
)
from search_service.segments.current import read_current
from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import Identity, read_manifest
from search_service.store.vectors import iter_live_vectors, live_ordinals


def main() -> None:
    """Run the job on standard input."""
    job = BuildJob.from_json(json.loads(sys.stdin.readline()))
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    child_memory.bound()
    try:
        made = run_job(job, lambda step: _say({"step": step}))
    except MemoryError:
        sys.exit(child_memory.TOO_LITTLE)
    _say({"made": made})


def run_job(job: BuildJob, report: Callable[[Step], None]) -> str | None:
    """Plan and make the job's segment; return its name, for the parent to publish it.

    None: there was nothing to do.
    """
    identity = Identity(job.uid, job.dimension, job.fingerprint)
    plan = _plan(job, _current(job.segments_path, identity))
    if plan.action is Action.NOTHING:
        return None
    vectors = partial(iter_live_vectors, job.store_path, space=job.space)
    assembly = Assembly(job.segments_path, identity, job.settings, job.threads, vectors, report)
    return assembly.run(plan)


def _plan(job: BuildJob, current: list[Current]) -> BuildPlan:
    # Never less than what is covered: a segment is replaced as a whole or not at all.
    covered = [segment.manifest.upto_ordinal for segment in current]
    upto_ordinal = max([job.upto_ordinal, *covered])
    if job.seal_only:
        return make_seal_plan(current, job.settings, upto_ordinal)
    live = live_ordinals(job.store_path, upto_ordinal, job.space)
    return make_plan(current, live, job.settings, upto_ordinal, erase=job.erase)


def _current(root: Path, identity: Identity) -> list[Current]:
    """Return the segments in use whose manifests are whole; others are built anew."""
    try:
        return [Current(name, read_manifest(root / name, identity)) for name in read_current(root)]
    except SegmentDamaged:
        return []


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
