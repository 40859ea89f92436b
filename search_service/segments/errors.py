"""What can go wrong with segments; a shard handles both, callers never see them.

Texts may name files: they go to logs and `ShardStats.last_build_error`.
"""

from __future__ import annotations


class SegmentDamaged(Exception):
    """A segment's files are not what was written, or belong to something else.

    The segment must not be used; everything in it can be rebuilt from the store.
    """


class BuildFailed(Exception):
    """A build ended without a segment: it crashed, was killed or was stopped."""
