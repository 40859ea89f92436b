"""What a child process may take of the memory that it shares with the service.

Kubernetes ends a container as a whole when one of its processes takes more than the limit:
a build, or an analysis that somebody asked for, would take the searches along, and be begun
anew after the start. Bounded here, it fails by itself and says so.
"""

from __future__ import annotations

import contextlib
import re
import resource
import sys
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc/self")
# Of the limit, for what the service itself takes meanwhile.
_KEPT_SHARE = 0.1
# A child that gets nothing would fail in the middle of an import, without a word.
_LEAST_BYTES = 64 << 20
# What is not given back when memory is short; the files that are mapped are.
_HELD = ("anon", "shmem", "kernel_stack", "pagetables", "slab_unreclaimable", "sock")
_HELD_FIRST = ("total_rss", "total_shmem")
# The first version has no word for no limit.
_UNLIMITED = 1 << 60

TOO_LITTLE = (
    "the memory that the search service may use has no room for it: give it more "
    "(the limit of its container)"
)


def bound() -> None:
    """Bound the data of this process, and have it chosen where somebody must be killed."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):  # a sandbox without it: nobody is chosen
        (_PROC / "oom_score_adj").write_text("1000", encoding="ascii")
    room = room_bytes(_CGROUPS)
    if room is not None:
        most = _data_bytes() + room
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def room_bytes(cgroups: Path) -> int | None:
    """Return what is left of the control group's limit; None where there is none."""
    for limit, stat, held in (
        (cgroups / "memory.max", cgroups / "memory.stat", _HELD),
        (cgroups / "memory/memory.limit_in_bytes", cgroups / "memory/memory.stat", _HELD_FIRST),
    ):
        try:
            most, told = limit.read_text(encoding="ascii").strip(), stat.read_text("ascii")
        except OSError:
            continue
        if most == "max" or int(most) >= _UNLIMITED:
            return None
        counts = dict(re.findall(r"^(\w+) (\d+)$", told, re.MULTILINE))
        used = sum(int(counts.get(name, 0)) for name in held)
        return max(_LEAST_BYTES, int(int(most) * (1 - _KEPT_SHARE)) - used)
    return None


def _data_bytes() -> int:
    """Return what this process has of what the bound counts."""
    said = re.search(r"^VmData:\s+(\d+) kB$", (_PROC / "status").read_text("ascii"), re.MULTILINE)
    return int(said[1]) << 10 if said else 0
