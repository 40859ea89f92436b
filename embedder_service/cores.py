"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable(cgroups: Path = _CGROUPS) -> int:
    """Return the processors that the kernel may run this process on, at most as many as its
    control group gives time for, rounded up.

    A container with `--cpus 2` sees all of the machine's: a thread for each would be halted
    most of the time, and a decode process for each would take its memory.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(cgroups)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def _quota(cgroups: Path) -> float | None:
    """Return the processors' worth of time that the control group gives; None for no bound."""
    second = _read(cgroups / "cpu.max")
    if second is not None:
        quota, _, period = second.partition(" ")
        return None if quota == "max" else int(quota) / int(period)
    first = _read(cgroups / "cpu" / "cpu.cfs_quota_us")
    period = _read(cgroups / "cpu" / "cpu.cfs_period_us") or ""
    if first is None or not period or int(first) <= 0:
        return None
    return int(first) / int(period)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None
