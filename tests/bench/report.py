"""Rows of measured figures: collected, printed as a table, written as JSON.

A suite makes one `Report`, adds a row for each figure as soon as it is measured,
and ends with `print_table`. The file is rewritten with each row, so that a run
that dies keeps what it had.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "bench"

Value = float | int | str | dict[str, object] | list[object] | None

_WHAT_COLUMNS = 70


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    `value` is None where nothing could be measured; `what` then says why.
    `target` reads like ">= 0.95", "<= 15" or "stated"; `holds` is whether the
    value meets it.
    """

    id: str
    what: str
    value: Value
    unit: str
    target: str
    holds: bool
    command: str
    machine: str


class Report:
    """The rows of one run, in `OUTPUT/<suite>.json` as a JSON list.

    A row replaces what the file held under its id; other rows stay, so that a run
    of some figures keeps the rest. `command` and `machine` say where each came from.
    """

    def __init__(self, suite: str, command: str, *, directory: Path = OUTPUT) -> None:
        self.path = directory / f"{suite}.json"
        self.rows: list[Row] = []
        self._command = command
        self._machine = machine()
        self._earlier = _read(self.path)

    def at_least(self, id: str, what: str, value: float | None, unit: str, target: float) -> Row:
        """Add a figure that should be `target` or more; NaN and None miss."""
        holds = value is not None and value >= target
        return self._add(id, what, value, unit, f">= {target:g}", holds)

    def at_most(self, id: str, what: str, value: float | None, unit: str, target: float) -> Row:
        """Add a figure that should be `target` or less; NaN and None miss."""
        holds = value is not None and value <= target
        return self._add(id, what, value, unit, f"<= {target:g}", holds)

    def equals(self, id: str, what: str, value: float | None, unit: str, target: float) -> Row:
        """Add a figure that should be `target` exactly."""
        return self._add(id, what, value, unit, f"= {target:g}", value == target)

    def stated(self, id: str, what: str, value: Value, unit: str) -> Row:
        """Add a figure without a bound: it holds when there is a value."""
        return self._add(id, what, value, unit, "stated", value is not None)

    def missing(self, id: str, what: str, unit: str, target: str, *, reason: str) -> Row:
        """Add a figure that could not be measured."""
        return self._add(id, f"{what} [not measured: {reason}]", None, unit, target, False)

    def print_table(self) -> None:
        """Print the rows of this run."""
        held = sum(row.holds for row in self.rows)
        print(f"\n{self._command}\n{self._machine}\n")
        for row in self.rows:
            print(_line(row))
        print(f"\n{held} of {len(self.rows)} rows hold; written to {self.path}")

    def _add(self, id: str, what: str, value: Value, unit: str, target: str, holds: bool) -> Row:
        row = Row(id, what, _tidy(value), unit, target, holds, self._command, self._machine)
        self.rows.append(row)
        self._write()
        print(_line(row), flush=True)
        return row

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        own = {row.id for row in self.rows}
        kept = [row for row in self._earlier if row["id"] not in own]
        rows = sorted(kept + [asdict(row) for row in self.rows], key=_order)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        temporary.replace(self.path)


def machine() -> str:
    """Describe the machine in one line: processor, cores, memory, system."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the `percent`-th percentile of `values`, interpolated.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values to take a percentile of")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100.0
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """Return the median of `values`."""
    return float(statistics.median(values))


def median_seconds(call: Callable[[], object], *, repeats: int = 5, warm_up: int = 1) -> float:
    """Run `call` and return the median of its wall-clock seconds."""
    for _ in range(warm_up):
        call()
    return median([seconds(call) for _ in range(repeats)])


def seconds(call: Callable[[], object]) -> float:
    """Run `call` once and return its wall-clock seconds."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _read(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        return []
    rows: list[dict[str, object]] = json.loads(path.read_text())
    return rows


def _order(row: dict[str, object]) -> tuple[str, int, str]:
    """Sort "search.2a" before "search.10"."""
    suite, _, place = str(row["id"]).rpartition(".")
    number = place.rstrip("abcdefghijklmnopqrstuvwxyz")
    return suite, int(number) if number.isdigit() else 0, place


def _tidy(value: Value) -> Value:
    if not isinstance(value, float):
        return value
    return float(f"{value:.5g}") if math.isfinite(value) else None  # JSON has no NaN


def _line(row: Row) -> str:
    value = "-" if row.value is None else f"{row.value} {row.unit}"
    mark = "holds" if row.holds else "MISSES"
    first, *more = textwrap.wrap(row.what, _WHAT_COLUMNS) or [""]
    lines = [f"{row.id:<12} {mark:<7} {value:<24} {row.target:<10} {first}"]
    lines += [f"{'':<56} {line}" for line in more]
    return "\n".join(lines)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
