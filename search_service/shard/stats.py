"""What a shard holds at a moment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from search_service.domain.arrays import I64
from search_service.domain.collection import ShardStats
from search_service.shard.live.memory import Memory
from search_service.shard.live.view import LiveView
from search_service.shard.upkeep import SegmentUpkeep
from search_service.shard.writing.commit_clock import CommitClock
from search_service.store.damage import StoreHealth


def read_stats(
    memory: Memory,
    upkeep: SegmentUpkeep,
    directory: Path,
    health: StoreHealth,
    clock: CommitClock,
) -> ShardStats:
    """Count vectors by where they are, and the bytes below `directory`."""
    with memory.view() as live:
        head = _count(live, [view.ordinals for view in live.head])
        flat = _count(live, [one.ordinals for one in live.sealed if not one.segment.has_graph])
        sealed = live.sealed
        graphs = [one for one in sealed if one.segment.has_graph]
        return ShardStats(
            items=live.items,
            head_vectors=head,
            unindexed_vectors=head + flat,
            graph_vectors=sum(one.nodes - one.segment.side_nodes for one in graphs),
            side_list_vectors=sum(one.segment.side_nodes for one in graphs),
            segments=len(sealed),
            disk_bytes=_tree_bytes(directory),
            builds=upkeep.builds,
            last_build_error=upkeep.last_error,
            building=upkeep.building,
            store_damage=health.damage,
            commits=clock.commits,
            fsync_s=clock.fsync_s,
            build_failures=upkeep.failures,
            build_s=upkeep.build_s,
        )


def _count(live: LiveView, parts: Sequence[I64]) -> int:
    """Count the live ones of ordinals, int64 [n] each."""
    return sum(int(np.count_nonzero(live.alive(part))) for part in parts)


def _tree_bytes(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):  # what goes meanwhile is passed over
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
