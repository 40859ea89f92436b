"""A segment as searches use it: its nodes by ordinal and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.compiled.walk import Wanted
from search_service.domain.arrays import F32, I32, I64, Flags
from search_service.segments.api import CodecApi, SegmentApi

# An ordinal takes 4 bytes in a table, and 12 where they are sorted.
_MOST_SPAN = 3


class Sealed:
    """An open segment with the way from ordinals to nodes."""

    def __init__(self, segment: SegmentApi) -> None:
        self.segment = segment
        self.rows: F32 = np.asarray(segment.rows)
        self.ordinals: I64 = np.asarray(segment.ordinals, dtype=np.int64)
        self.offsets: I64 = np.asarray(segment.offsets, dtype=np.int64)
        self.nodes = len(self.offsets) - 1
        self.one_each = len(self.ordinals) == self.nodes
        self._by_ordinal = _Table.of(self) or _Sorted(self)

    def count_between(self, ordinals: I64) -> int:
        """Count those of `ordinals`, int64 [m] ascending, that can be here.

        A segment holds what was live of a range of ordinals, so what is live is here.
        """
        return len(self._within(ordinals))

    def locate(self, ordinals: I64) -> tuple[I64, I64]:
        """Find which of `ordinals`, ascending, are here: (ordinals, their nodes), int64 [m]."""
        within = self._within(ordinals)
        nodes = self._by_ordinal.nodes(within)
        here = nodes >= 0
        return (within, nodes) if here.all() else (within[here], nodes[here])

    def nodes_of(self, ordinals: I64) -> I64:
        """Return the nodes that some of `ordinals`, ascending, stand for: int64 [n], each once."""
        _, nodes = self.locate(ordinals)
        return nodes if self.one_each else np.unique(nodes)

    def expand(self, nodes: I64) -> tuple[I64, I64]:
        """List the ordinals of nodes: (index into `nodes`, ordinal), int64 [m]."""
        if self.one_each:
            return np.arange(len(nodes)), self.ordinals[nodes]
        starts, ends = self.offsets[nodes], self.offsets[nodes + 1]
        counts = ends - starts
        which = np.repeat(np.arange(len(nodes)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.ordinals[np.repeat(starts, counts) + within]

    def wanted(self, died_at: I64, epoch: int, allowed: Flags, share: float) -> Wanted:
        """Return which nodes may be found: see `Wanted`."""
        return Wanted(False, self.offsets, self.ordinals, died_at, epoch, allowed, share)

    def any_of(self, ordinal_flags: Flags) -> Flags:
        """Fold flags of `self.ordinals`, bool [M], to nodes: bool [N], one or more set."""
        if self.one_each:
            return ordinal_flags
        folded: Flags = np.logical_or.reduceat(ordinal_flags, self.offsets[:-1])
        return folded

    @property
    def newest(self) -> int:
        """The greatest ordinal here, 0 without any."""
        return self._by_ordinal.last

    def _within(self, ordinals: I64) -> I64:
        first = np.searchsorted(ordinals, self._by_ordinal.first)
        last = np.searchsorted(ordinals, self._by_ordinal.last, side="right")
        return ordinals[first:last]


class _Sorted:
    """Finds nodes by search; `first` and `last` are the least and the greatest ordinal."""

    def __init__(self, sealed: Sealed) -> None:
        order = np.argsort(sealed.ordinals, kind="stable")
        self._ordinals = sealed.ordinals[order]
        self._nodes = _node_of_each(sealed)[order]
        self.first, self.last = _ends(sealed.ordinals)

    def nodes(self, ordinals: I64) -> I64:
        """Return the nodes of ordinals from `first` to `last`, -1 where there is none."""
        places = np.searchsorted(self._ordinals, ordinals)
        there = self._ordinals[places] == ordinals
        return np.where(there, self._nodes[places], -1).astype(np.int64)


class _Table:
    """Looks nodes up, as `_Sorted`: of 100,000 ordinals, 10,000 in 20 us in place of 1 ms."""

    def __init__(self, sealed: Sealed) -> None:
        self.first, self.last = _ends(sealed.ordinals)
        self._nodes: I32 = np.full(self.last + 1 - self.first, -1, dtype=np.int32)
        self._nodes[sealed.ordinals - self.first] = _node_of_each(sealed)

    @staticmethod
    def of(sealed: Sealed) -> _Table | None:
        """Return the table of a segment; None where that would be mostly empty."""
        first, last = _ends(sealed.ordinals)
        return _Table(sealed) if last - first < _MOST_SPAN * len(sealed.ordinals) else None

    def nodes(self, ordinals: I64) -> I64:
        """Return the nodes of ordinals from `first` to `last`, -1 where there is none."""
        return self._nodes[ordinals - self.first].astype(np.int64)


def _ends(ordinals: I64) -> tuple[int, int]:
    return (int(ordinals.min()), int(ordinals.max())) if len(ordinals) else (1, 0)


def _node_of_each(sealed: Sealed) -> I32:
    """Return the node of each of `sealed.ordinals`, int32 [M]."""
    return np.repeat(np.arange(sealed.nodes, dtype=np.int32), np.diff(sealed.offsets))


def newest_codec(segments: Sequence[Sealed]) -> CodecApi | None:
    """Return the compact form of the newest of the segments that have one."""
    coded = [one for one in segments if one.segment.codec is not None]
    newest = max(coded, key=lambda one: one.newest, default=None)
    return newest.segment.codec if newest else None
