"""One bitmap of ordinals for each distinct value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from pyroaring import BitMap

V = TypeVar("V", str, float, int)


class InvertedValues(Generic[V]):
    """Values of one kind under one path, for few distinct values.

    Not safe across threads: `MetadataIndex` holds the lock.
    """

    def __init__(self) -> None:
        self._bitmaps: dict[V, BitMap] = {}

    def __len__(self) -> int:
        """Count distinct values."""
        return len(self._bitmaps)

    def add(self, ordinal: int, value: V) -> None:
        """Say that the item with `ordinal` holds `value`."""
        bitmap = self._bitmaps.get(value)
        if bitmap is None:
            bitmap = self._bitmaps[value] = BitMap()
        bitmap.add(ordinal)

    def discard(self, ordinal: int, value: V) -> None:
        """Take that back; a pair that is not there is no error."""
        bitmap = self._bitmaps.get(value)
        if bitmap is not None:
            bitmap.discard(ordinal)
            if not bitmap:
                del self._bitmaps[value]

    def equal(self, values: Sequence[V]) -> BitMap:
        """Ordinals that hold one of `values`."""
        found = (self._bitmaps.get(value) for value in values)
        return BitMap.union(BitMap(), *(bitmap for bitmap in found if bitmap is not None))

    def where(self, keep: Callable[[V], bool]) -> BitMap:
        """Ordinals that hold a value for which `keep` is true."""
        return BitMap.union(BitMap(), *(b for value, b in self._bitmaps.items() if keep(value)))

    def items(self) -> Iterator[tuple[V, BitMap]]:
        """Each value with its ordinals."""
        return iter(self._bitmaps.items())
