"""The processes that a process under test has started, as /proc tells."""

from __future__ import annotations

from pathlib import Path


def children_of(pid: int, running: str = "") -> list[int]:
    """Return the ids of a process's children, of those alone whose command line holds a text.

    Threads and children that end while they are looked at are left out.
    """
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, _text(task / "children").split())
    return [child for child in found if not running or running in _text(_command_line(child))]


def _command_line(pid: int) -> Path:
    return Path(f"/proc/{pid}/cmdline")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended meanwhile
        return ""
