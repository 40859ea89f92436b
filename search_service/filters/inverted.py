"""One bitmap of ordinals for each distinct key."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic

from pyroaring import BitMap

from search_service.filters.bounds import Bounds, K

# Neighbouring keys whose union is kept for ranges: a range over hundreds of keys
# then unites tens of bitmaps (tests/bench/query/filter_eval.py, "range").
_GROUP = 16


class InvertedValues(Generic[K]):
    """Keys of one kind under one path, for few distinct keys.

    Not safe across threads: `MetadataIndex` holds the lock.
    """

    def __init__(self, bitmaps: Mapping[K, BitMap] | None = None) -> None:
        self._bitmaps: dict[K, BitMap] = dict(bitmaps or {})
        # What the latest range made, for the next: sorted keys, and the unions of
        # their groups, of which a change leaves out the one that it concerns.
        self._order: list[K] = []
        self._unions: list[BitMap | None] = []

    def __len__(self) -> int:
        """Count distinct keys."""
        return len(self._bitmaps)

    def copy(self) -> InvertedValues[K]:
        """A copy that later changes leave alone."""
        return InvertedValues({key: bitmap.copy() for key, bitmap in self._bitmaps.items()})

    def add(self, ordinal: int, key: K) -> None:
        """Say that the item with `ordinal` holds `key`."""
        bitmap = self._bitmaps.get(key)
        if bitmap is None:
            bitmap = self._bitmaps[key] = BitMap()
            self._forget_order()
        elif self._order:
            self._unions[bisect_left(self._order, key) // _GROUP] = None
        bitmap.add(ordinal)

    def discard(self, ordinal: int, key: K) -> None:
        """Take that back; a pair that is not there is no error."""
        bitmap = self._bitmaps.get(key)
        if bitmap is not None:
            bitmap.discard(ordinal)
            if not bitmap:
                del self._bitmaps[key]
                self._forget_order()
            elif self._order:
                self._unions[bisect_left(self._order, key) // _GROUP] = None

    def discard_all(self, ordinals: BitMap) -> None:
        """Forget all that the items hold."""
        for bitmap in self._bitmaps.values():
            bitmap -= ordinals  # noqa: PLW2901  in place
        self._bitmaps = {key: bitmap for key, bitmap in self._bitmaps.items() if bitmap}
        self._forget_order()

    def equal(self, keys: Sequence[K]) -> BitMap:
        """Ordinals that hold one of `keys`, as a new bitmap."""
        return _union(self._found(keys))

    def between(self, bounds: Bounds[K]) -> BitMap:
        """Ordinals that hold a key in the range, as a new bitmap."""
        if not self._order:
            self._order = sorted(self._bitmaps)
            self._unions = [None] * -(-len(self._order) // _GROUP)
        low, high = bounds.span(self._order)
        first, last = -(-low // _GROUP), high // _GROUP
        if first >= last:
            return self._of_keys(low, high)
        ends = (self._of_keys(low, first * _GROUP), self._of_keys(last * _GROUP, high))
        return BitMap.union(*ends, *map(self._group_union, range(first, last)))

    def count_equal(self, keys: Sequence[K]) -> int:
        """Count pairs of ordinal and key with one of `keys`."""
        return sum(len(bitmap) for bitmap in self._found(keys))

    def count_between(self, bounds: Bounds[K]) -> int:
        """Count pairs of ordinal and key in the range."""
        return sum(len(b) for key, b in self._bitmaps.items() if bounds.holds(key))

    def items(self) -> Iterator[tuple[K, BitMap]]:
        """Each key with its ordinals, in no order."""
        return iter(self._bitmaps.items())

    def _of_keys(self, low: int, high: int) -> BitMap:
        return _union([self._bitmaps[key] for key in self._order[low:high]])

    def _group_union(self, group: int) -> BitMap:
        union = self._unions[group]
        if union is None:
            union = self._unions[group] = self._of_keys(group * _GROUP, (group + 1) * _GROUP)
        return union

    def _forget_order(self) -> None:
        self._order, self._unions = [], []

    def _found(self, keys: Sequence[K]) -> list[BitMap]:
        found = (self._bitmaps.get(key) for key in keys)
        return [bitmap for bitmap in found if bitmap is not None]


def _union(bitmaps: Sequence[BitMap]) -> BitMap:
    if not bitmaps:
        return BitMap()
    return bitmaps[0].copy() if len(bitmaps) == 1 else BitMap.union(*bitmaps)
