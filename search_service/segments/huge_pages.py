"""Huge pages for memory that a library maps by itself.

Inserting into a graph visits nodes all over the memory, and with pages of 4 KiB the
processor also has to look up where each of them is. Where the kernel offers no larger
ones, nothing happens.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

# Collapse what is there already, at once: <linux/mman.h>, since Linux 6.1.
_MADV_COLLAPSE = 25
_LEAST_BYTES = 4 << 20
_MAPS = Path("/proc/self/maps")
# A line of maps: range, permissions, offset, device, inode, and a name if it has one.
_ANONYMOUS_FIELDS = 5


def ask_for_huge_pages() -> None:
    """Ask for them for all large, anonymous, writable memory of this process."""
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is None or not _MAPS.exists():
        return
    libc = ctypes.CDLL(None)
    for line in _MAPS.read_text().splitlines():
        fields = line.split()
        if len(fields) != _ANONYMOUS_FIELDS or not fields[1].startswith("rw"):
            continue
        start, end = (int(bound, 16) for bound in fields[0].split("-"))
        if end - start >= _LEAST_BYTES:
            span = ctypes.c_void_p(start), ctypes.c_size_t(end - start)
            libc.madvise(*span, advice)
            libc.madvise(*span, _MADV_COLLAPSE)
