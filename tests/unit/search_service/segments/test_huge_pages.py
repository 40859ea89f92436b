from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from search_service.segments.huge_pages import ask_for_huge_pages

ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
BYTES = 64 << 20


def huge_kib() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))


@pytest.mark.skipif(
    not ENABLED.exists() or "[never]" in ENABLED.read_text(), reason="the kernel has no huge pages"
)
def test_large_memory_is_moved_to_huge_pages_and_keeps_what_it_holds() -> None:
    with mmap.mmap(-1, BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        array = np.frombuffer(memory, dtype=np.uint8)
        array[:] = np.arange(BYTES, dtype=np.uint32).view(np.uint8)[:BYTES]
        kept = int(array.astype(np.uint64).sum())
        ask_for_huge_pages()
        assert huge_kib() >= BYTES >> 11, "half of it, at least"
        assert int(array.astype(np.uint64).sum()) == kept
        del array
