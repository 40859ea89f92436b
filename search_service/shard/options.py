"""Bounds and habits of a shard."""

from __future__ import annotations

from dataclasses import dataclass

from search_service.segments.building.planning import MOST_DEAD_SHARE


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """What an operator may change about every shard of a process.

    `head_limit`: unindexed vectors that make the builder start, twice as many beside
    segments with a compact form; a collection below it has no graph. An exact scan of
    20,000 x 512 reads 40 MB: 4 ms.
    `unindexed_limit`: unindexed vectors past which writes are refused.
    `vfs`: name of the SQLite file layer; empty for the platform's own.
    """

    threads: int = 2
    build_threads: int = 2
    head_limit: int = 20_000
    unindexed_limit: int = 400_000
    idle_build_vectors: int = 2_000
    idle_build_s: float = 20.0
    max_dead_share: float = MOST_DEAD_SHARE
    build_retry_s: float = 5.0
    max_build_retry_s: float = 300.0
    max_queued_mutations: int = 50_000
    max_queued_bytes: int = 256 << 20
    max_group_mutations: int = 2_048
    max_group_bytes: int = 32 << 20
    max_waiting_queries: int = 8_192
    max_gathered_queries: int = 512
    # Most room that is given up when the disk is full, so that deletions go on.
    ballast_bytes: int = 8 << 20
    # 64 MiB of 16 KiB pages: a checkpoint of that size takes about 0.1 s.
    checkpoint_pages: int = 4_096
    # Without a write for so long, the log is cut to nothing.
    idle_checkpoint_s: float = 5.0
    # With fewer items than this the metadata index is not kept in a file: to read
    # their metadata takes half a second. Looked at every so many seconds.
    filters_save_items: int = 5_000
    filters_save_s: float = 30.0
    # Metadata that hits carried lately, and are likely to carry again.
    item_cache_bytes: int = 32 << 20
    # How old a segment gets that holds what was deleted, before it is built anew without;
    # 0: until so much is deleted that it is. And the saved metadata index.
    erase_after_s: float = 24 * 3600.0
    # How long deletions are remembered; 0: until `prune_tombstones`, since a queue may
    # still hold what is older.
    forget_deletions_s: float = 0.0
    # How fast the store is read through for damage, again and again; 0: not at all.
    check_bytes_per_s: float = 4 << 20
    vfs: str = ""
