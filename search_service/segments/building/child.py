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

from search_service.domain.collection import Dtype, IndexSettings, Preset
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
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _say(run_job(job, lambda step: _say({"step": step})))


def run_job(job: dict[str, Any], report: Callable[[Step], None]) -> dict[str, Any]:
    """Plan and make the job's segment; return what the parent needs to publish it."""
    root = Path(job["segments_path"])
    store = Path(job["store_path"])
    identity = Identity(job["uid"], job["dimension"], job["fingerprint"])
    settings = settings_of(job["settings"])
    plan = _plan(job, _current(root, identity), store, settings)
    if plan.action is Action.NOTHING:
        return {"made": None}
    vectors = partial(iter_live_vectors, store)
    assembly = Assembly(root, identity, settings, job["threads"], vectors, report)
    return {"made": assembly.run(plan)}


def _plan(
    job: dict[str, Any], current: list[Current], store: Path, settings: IndexSettings
) -> BuildPlan:
    # Never less than what is covered: a segment is replaced as a whole or not at all.
    covered = [segment.manifest.upto_ordinal for segment in current]
    upto_ordinal = max([job["upto_ordinal"], *covered])
    if job["seal_only"]:
        return make_seal_plan(current, settings, upto_ordinal)
    return make_plan(current, live_ordinals(store, upto_ordinal), settings, upto_ordinal)


def settings_of(fields: dict[str, Any]) -> IndexSettings:
    """Return the settings from their JSON form."""
    return IndexSettings(
        preset=Preset(fields["preset"]),
        dtype=Dtype(fields["dtype"]),
        **{name: int(fields[name]) for name in fields.keys() - {"preset", "dtype"}},
    )


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
