"""Entries of key and ordinal sorted by key, for many distinct keys.

    settled   immutable, sorted: keys, ordinals, and bitmaps of blocks of them
    stale     ordinals whose settled entries no longer hold
    tail      new entries, sorted, few

A range over a million entries is two searches, the union of at most 30 block
and 8 group bitmaps, and at most 16,384 ordinals at the ragged ends.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Generic

import numpy as np
from pyroaring import BitMap

from search_service.domain.arrays import I64, U32
from search_service.filters.bitmaps import bitmap_of, ordinals_of
from search_service.filters.bounds import Bounds, K
from search_service.filters.keys import Keys
from search_service.filters.texts import TextTest

_LEAST_BLOCK = 8_192  # ordinals that become a bitmap in 0.1 ms
_MOST_BLOCKS = 128  # 2 bytes an entry for the blocks, 1 for the groups
_GROUP = 16
# A tail costs a write one insertion into a list this long (2 us), and one
# settling of all entries each time it is full (30 ms for a million).
_LEAST_TAIL = 8_192
_TAIL_SHARE = 64


class Settled(Generic[K]):
    """Sorted entries, immutable.

    Args:
        keys: sorted.
        ordinals: uint32 [entries], in the order of `keys`.
    """

    def __init__(self, keys: Keys[K], ordinals: U32) -> None:
        self.keys: Keys[K] = keys
        self.ordinals = ordinals
        # What text conditions found here, the latest last (text_search.py).
        self.found: dict[TextTest, BitMap] = {}
        self._block = step = max(_LEAST_BLOCK, -(-len(ordinals) // _MOST_BLOCKS))
        starts = range(0, len(ordinals) // step * step, step)
        self._blocks = [bitmap_of(ordinals[start : start + step]) for start in starts]
        groups = range(0, len(self._blocks) // _GROUP * _GROUP, _GROUP)
        self._groups = [BitMap.union(*self._blocks[at : at + _GROUP]) for at in groups]

    def between(self, low: int, high: int) -> BitMap:
        """U32 of the entries low:high, as a new bitmap."""
        first, last = -(-low // self._block), high // self._block
        if first >= last:
            return bitmap_of(self.ordinals[low:high])
        ends = (self.ordinals[low : first * self._block], self.ordinals[last * self._block : high])
        parts = [bitmap_of(np.concatenate(ends))]
        first_group, last_group = -(-first // _GROUP), last // _GROUP
        if first_group < last_group:
            parts += self._blocks[first : first_group * _GROUP]
            parts += self._groups[first_group:last_group]
            parts += self._blocks[last_group * _GROUP : last]
        else:
            parts += self._blocks[first:last]
        return BitMap.union(*parts)

    def at(self, lefts: I64, rights: I64) -> BitMap:
        """U32 of many spans of entries, as a new bitmap."""
        lengths = rights - lefts
        long = lengths > self._block
        parts = [
            self.between(int(low), int(high))
            for low, high in zip(lefts[long], rights[long], strict=True)
        ]
        lefts, lengths = lefts[~long], lengths[~long]
        before = np.cumsum(lengths) - lengths
        entries = np.repeat(lefts - before, lengths) + np.arange(int(lengths.sum()))
        return BitMap.union(bitmap_of(self.ordinals[entries]), *parts)


class SortedValues(Generic[K]):
    """Keys of one kind under one path, for many distinct keys.

    Not safe across threads: `MetadataIndex` holds the lock, except for
    `resettled`, which reads what only the writer changes.
    """

    def __init__(self, settled: Settled[K]) -> None:
        self.settled: Settled[K] = settled
        self.stale = BitMap()
        self.tail_keys: list[K] = []
        self.tail_ordinals = array("I")

    def copy(self) -> SortedValues[K]:
        """A copy that later changes leave alone; shares the settled entries."""
        copied = SortedValues(self.settled)
        copied.stale = self.stale.copy()
        copied.tail_keys = self.tail_keys.copy()
        copied.tail_ordinals = self.tail_ordinals[:]
        return copied

    def add(self, ordinal: int, key: K) -> None:
        """Say that the item with `ordinal` holds `key`."""
        at = bisect_right(self.tail_keys, key)
        self.tail_keys.insert(at, key)
        self.tail_ordinals.insert(at, ordinal)

    def discard(self, ordinal: int, key: K) -> None:
        """Take that back, together with all else that the item holds here."""
        low, high = bisect_left(self.tail_keys, key), bisect_right(self.tail_keys, key)
        try:
            at = self.tail_ordinals.index(ordinal, low, high)
        except ValueError:  # the item's entries are settled
            self.stale.add(ordinal)
        else:
            del self.tail_keys[at], self.tail_ordinals[at]

    def discard_all(self, ordinals: BitMap) -> None:
        """Forget all that the items hold."""
        self.stale |= ordinals
        pairs = zip(self.tail_keys, self.tail_ordinals, strict=True)
        kept = [(key, ordinal) for key, ordinal in pairs if ordinal not in ordinals]
        self.tail_keys = [key for key, _ in kept]
        self.tail_ordinals = array("I", (ordinal for _, ordinal in kept))

    def equal(self, keys: Sequence[K]) -> BitMap:
        """U32 that hold one of `keys`, as a new bitmap."""
        found: BitMap = self.settled.at(*self.settled.keys.spans(keys)) - self.stale
        new = array("I")
        for key in keys:
            low, high = bisect_left(self.tail_keys, key), bisect_right(self.tail_keys, key)
            new += self.tail_ordinals[low:high]
        found |= bitmap_of(np.frombuffer(new, np.uint32))
        return found

    def between(self, bounds: Bounds[K]) -> BitMap:
        """U32 that hold a key in the range, as a new bitmap."""
        found: BitMap = self.settled.between(*self._settled_span(bounds)) - self.stale
        found |= bitmap_of(np.frombuffer(self._tail_slice(bounds), np.uint32))
        return found

    def count_equal(self, keys: Sequence[K]) -> int:
        """Count entries with one of `keys`, about: stale ones are counted too."""
        lefts, rights = self.settled.keys.spans(keys)
        tail = (bisect_right(self.tail_keys, k) - bisect_left(self.tail_keys, k) for k in keys)
        return int((rights - lefts).sum()) + sum(tail)

    def count_between(self, bounds: Bounds[K]) -> int:
        """Count entries in the range, about: stale ones are counted too."""
        low, high = self._settled_span(bounds)
        return high - low + len(self._tail_slice(bounds))

    @property
    def unsettled(self) -> bool:
        """Whether it is time to settle."""
        limit = max(_LEAST_TAIL, len(self.settled.ordinals) // _TAIL_SHARE)
        return len(self.tail_keys) > limit or len(self.stale) > limit

    def resettled(self) -> SortedValues[K]:
        """The same with an empty tail; leaves this one as it is."""
        if not self.stale and not self.tail_keys:
            return SortedValues(self.settled)
        keys, ordinals = self.settled.keys, self.settled.ordinals
        if self.stale:
            mask = ~np.isin(ordinals, ordinals_of(self.stale))
            keys, ordinals = keys.kept(mask), ordinals[mask]
        if self.tail_keys:
            keys, positions = keys.merged(self.tail_keys)
            ordinals = np.insert(
                ordinals, positions, np.frombuffer(self.tail_ordinals.tobytes(), np.uint32)
            )
        return SortedValues(Settled(keys, ordinals))

    def _settled_span(self, bounds: Bounds[K]) -> tuple[int, int]:
        keys = self.settled.keys
        low, high = 0, len(keys)
        if bounds.low is not None:
            low = keys.left(bounds.low) if bounds.low_included else keys.right(bounds.low)
        if bounds.high is not None:
            high = keys.right(bounds.high) if bounds.high_included else keys.left(bounds.high)
        return low, max(low, high)

    def _tail_slice(self, bounds: Bounds[K]) -> array[int]:
        low, high = bounds.span(self.tail_keys)
        return self.tail_ordinals[low:high]
