"""What segments still hold of items that were deleted or replaced."""

from __future__ import annotations

import time

import numpy as np

from search_service.segments.manifest import MANIFEST
from search_service.shard.live.memory import Memory
from search_service.shard.live.sealed import Sealed


def dead_share(memory: Memory) -> float:
    """Return the share of the segments' rows that no item has any more."""
    with memory.view() as live:
        every = [sealed.ordinals for sealed in live.sealed]
        total = sum(len(ordinals) for ordinals in every)
        alive = sum(int(np.count_nonzero(live.alive(ordinals))) for ordinals in every)
    return 1.0 - alive / total if total else 0.0


def keeps_deleted(memory: Memory, after_s: float) -> bool:
    """Say whether a segment that is older than `after_s` holds any such row; 0: never."""
    if not after_s:
        return False
    with memory.view() as live:
        return any(
            _age_s(one) > after_s and not live.alive(one.ordinals).all() for one in live.sealed
        )


def _age_s(sealed: Sealed) -> float:
    try:
        return time.time() - (sealed.segment.path / MANIFEST).stat().st_mtime
    except FileNotFoundError:  # taken out of use as damaged
        return 0.0
