"""A segment as searches use it: its nodes by ordinal and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.compiled.walk import Wanted
from search_service.domain.arrays import F32, I32, I64, Flags
from search_service.segments.api import CodecApi, SegmentApi


class Sealed:
    """An open segment with the way from ordinals to nodes."""

    def __init__(self, segment: SegmentApi) -> None:
        self.segment = segment
        self.rows: F32 = np.asarray(segment.rows)
        self.ordinals: I64 = np.asarray(segment.ordinals, dtype=np.int64)
        self.offsets: I64 = np.asarray(segment.offsets, dtype=np.int64)
        self.nodes = len(self.offsets) - 1
        self.one_each = len(self.ordinals) == self.nodes
        self._sorted, self._node_of = self._by_ordinal()

    def count_between(self, ordinals: I64) -> int:
        """Count those of `ordinals`, int64 [m] ascending, that can be here.

        A segment holds what was live of a range of ordinals, so what is live is here.
        """
        if not len(self._sorted):
            return 0
        first = np.searchsorted(ordinals, self._sorted[0])
        return int(np.searchsorted(ordinals, self._sorted[-1], side="right") - first)

    def locate(self, ordinals: I64) -> tuple[I64, I64]:
        """Find which of `ordinals` are here: (ordinals, their nodes), int64 [m]."""
        if not len(self._sorted):
            return self._sorted, self._sorted
        places = np.minimum(np.searchsorted(self._sorted, ordinals), len(self._sorted) - 1)
        here = self._sorted[places] == ordinals
        places = places[here]
        nodes = places if self._node_of is None else self._node_of[places].astype(np.int64)
        return ordinals[here], nodes

    def expand(self, nodes: I64) -> tuple[I64, I64]:
        """List the ordinals of nodes: (index into `nodes`, ordinal), int64 [m]."""
        if self.one_each:
            return np.arange(len(nodes)), self.ordinals[nodes]
        starts, ends = self.offsets[nodes], self.offsets[nodes + 1]
        counts = ends - starts
        which = np.repeat(np.arange(len(nodes)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.ordinals[np.repeat(starts, counts) + within]

    def wanted(self, died_at: I64, epoch: int, allowed: Flags) -> Wanted:
        """Return which nodes may be found: see `Wanted`."""
        return Wanted(False, self.offsets, self.ordinals, died_at, epoch, allowed)

    def any_of(self, ordinal_flags: Flags) -> Flags:
        """Fold flags of `self.ordinals`, bool [M], to nodes: bool [N], one or more set."""
        if self.one_each:
            return ordinal_flags
        folded: Flags = np.logical_or.reduceat(ordinal_flags, self.offsets[:-1])
        return folded

    @property
    def newest(self) -> int:
        """The greatest ordinal here, 0 without any."""
        return int(self._sorted[-1]) if len(self._sorted) else 0

    def _by_ordinal(self) -> tuple[I64, I32 | None]:
        if self.one_each and bool(np.all(self.ordinals[1:] > self.ordinals[:-1])):
            return self.ordinals, None
        order = np.argsort(self.ordinals, kind="stable")
        node_of = np.repeat(np.arange(self.nodes, dtype=np.int32), np.diff(self.offsets))
        return self.ordinals[order], node_of[order]


def newest_codec(segments: Sequence[Sealed]) -> CodecApi | None:
    """Return the compact form of the newest of the segments that have one."""
    coded = [one for one in segments if one.segment.codec is not None]
    newest = max(coded, key=lambda one: one.newest, default=None)
    return newest.segment.codec if newest else None
