"""`python -m tests.soak`: mixed load on a whole system, for SOAK_MINUTES.

Writes build/soak, with a plot, and the rows soak.1 to soak.3 of build/bench.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.wire.errors import LookalikeError
from lookalike_client import Client, DeleteItem, ImageItem, Query
from lookalike_client.supervisor.launch import RunningSystem
from tests.bench.report import Report
from tests.e2e.conftest import UP_OPTIONS
from tests.soak.plot import drawn
from tests.sources import ROOT

OUT = ROOT / "build" / "soak"
COLLECTION = "soak"
# What the system may grow by once it has warmed up: a fifth of the time is left out for that.
MOST_SLOPE_MB_PER_MINUTE = 1.0
WARM_UP_SHARE = 0.2
MOST_P99_RATIO = 1.5
# Items come and go among so many names, so that the collection stays as large as it is.
NAMES = 200
LOOK_EVERY_S = 5.0


@dataclass
class Seen:
    """What was measured: (seconds, part, MB) and (seconds, milliseconds); and errors."""

    memory: list[tuple[float, str, float]] = field(default_factory=list)
    searches: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def main() -> int:
    """Run it; 1 if memory grows, a call fails or the slowest searches become slower."""
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, RunningSystem(Path(folder), UP_OPTIONS) as system:
        seen = _loaded(system, 60 * minutes)
    report = _judged(seen, 60 * minutes)
    (OUT / "soak.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _write_rows(report)
    (OUT / "soak.svg").write_text(drawn(seen.memory, seen.searches), encoding="utf-8")
    print(json.dumps(report, indent=1))
    print(f"plot: {OUT / 'soak.svg'}")
    return 1 if report["faults"] else 0


def _loaded(system: RunningSystem, seconds: float) -> Seen:
    seen, began_s = Seen(), time.monotonic()
    stop = threading.Event()
    pictures = [path.read_bytes() for path in _photographs()]
    with Client(system.search) as client:
        client.collections.create(COLLECTION)

    def searching() -> None:
        with Client(system.search) as client:
            count = 0
            while not stop.is_set():
                start_s = time.monotonic()
                try:
                    client.search(COLLECTION, Query.by_image(pictures[count % len(pictures)]))
                except LookalikeError as error:
                    seen.errors.append(f"search: {error}")
                now_s = time.monotonic()
                seen.searches.append((now_s - began_s, 1000 * (now_s - start_s)))
                count += 1
                stop.wait(0.05)

    def indexing() -> None:
        with Client(system.search) as client:
            turn = 0
            while not stop.is_set():
                items: list[ImageItem | DeleteItem] = [
                    ImageItem(str((turn + each) % NAMES), pictures[(turn + each) % len(pictures)])
                    for each in range(8)
                ]
                items.append(DeleteItem(str((turn + NAMES // 2) % NAMES)))
                try:
                    for answer in client.submit_images(COLLECTION, items, job_id=f"soak-{turn}"):
                        if answer.error is not None:
                            seen.errors.append(f"submit: {answer.error}")
                    for event in client.watch_ingest(f"soak-{turn}"):
                        if event.result.error is not None:
                            seen.errors.append(f"ingest: {event.result.error}")
                except LookalikeError as error:
                    seen.errors.append(f"ingest: {error}")
                turn += 8
                stop.wait(0.2)

    threads = [threading.Thread(target=work) for work in (searching, indexing)]
    for thread in threads:
        thread.start()
    while time.monotonic() - began_s < seconds:
        time.sleep(LOOK_EVERY_S)
        for part, pid in system.pids.items():
            seen.memory.append((time.monotonic() - began_s, part, _tree_mb(pid, part)))
    stop.set()
    for thread in threads:
        thread.join()
    return seen


def _judged(seen: Seen, seconds: float) -> dict[str, Any]:
    """Return the figures, and what is wrong with them, in words."""
    since_s = WARM_UP_SHARE * seconds
    slopes: dict[str, float] = {}
    for part in sorted({part for _, part, _ in seen.memory}):
        points = [(at, mb) for at, name, mb in seen.memory if name == part and at >= since_s]
        times, sizes = np.array(points).T
        slopes[part] = round(60 * float(np.polyfit(times, sizes, 1)[0]), 3)
    later = [(at, ms) for at, ms in seen.searches if at >= since_s]
    middle_s = (since_s + seconds) / 2
    first, second = (
        float(np.percentile([ms for at, ms in later if (at < middle_s) is early], 99))
        for early in (True, False)
    )
    faults = [
        f"{part} grows by {slope} MB a minute"
        for part, slope in slopes.items()
        if slope > MOST_SLOPE_MB_PER_MINUTE
    ]
    if seen.errors:
        faults.append(f"{len(seen.errors)} errors, the first: {seen.errors[0]}")
    if second > MOST_P99_RATIO * first:
        faults.append(f"the 99th percentile of searches rose from {first:.0f} to {second:.0f} ms")
    return {
        "minutes": seconds / 60,
        "searches": len(seen.searches),
        "errors": len(seen.errors),
        "mb_per_minute": slopes,
        "p99_ms": {"first_half": round(first, 1), "second_half": round(second, 1)},
        "faults": faults,
    }


def _write_rows(report: dict[str, Any]) -> None:
    minutes = f"over {report['minutes']:g} minutes, the first fifth left out"
    rows = Report("soak", "make soak")
    part, slope = max(report["mb_per_minute"].items(), key=lambda each: each[1])
    what = f"growth of resident memory of the part that grows most ({part}), {minutes}"
    rows.at_most("soak.1", what, slope, "MB a minute", MOST_SLOPE_MB_PER_MINUTE)
    what = f"calls that failed, of {report['searches']:,} searches by image and the images indexed"
    rows.equals("soak.2", what, report["errors"], "errors", 0)
    halves = report["p99_ms"]
    ratio = round(halves["second_half"] / halves["first_half"], 3)
    what = f"99th percentile of searches, second half over first, {minutes}"
    rows.at_most("soak.3", what, ratio, "ratio", MOST_P99_RATIO)
    rows.print_table()


def _tree_mb(pid: int, part: str) -> float:
    """Return the resident memory of a process, with its children but for the supervisor's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0  # it has just ended
    lines = [line for line in status.splitlines() if line.startswith("VmRSS")]
    own = int(lines[0].split()[1]) / 1000 if lines else 0.0
    below = [] if part == "supervisor" else children
    return own + sum(_tree_mb(int(child), "") for child in below)


def _photographs() -> list[Path]:
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise SystemExit("scikit-image, which carries the photographs, is not installed")
    folder = Path(found.origin).parent / "data"
    return [folder / name for name in ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png")]


if __name__ == "__main__":
    sys.exit(main())
