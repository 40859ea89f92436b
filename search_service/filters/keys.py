"""Sorted keys, one for each entry of a sorted column.

An entry is a pair of key and ordinal; `left` and `right` are positions among
the entries, as of `bisect`. Keys are immutable: `merged` makes new ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from search_service.domain.arrays import I64, Flags
from search_service.filters.bounds import K
from search_service.filters.texts import Run

_SAMPLE_STEP = 32  # 2 bytes a distinct text

N = TypeVar("N", float, int)


class Keys(Protocol[K]):
    """What a sorted column needs of its keys."""

    def __len__(self) -> int:
        """Count entries."""

    def distinct(self) -> list[K]:
        """The distinct keys, ascending."""

    def left(self, key: K) -> int:
        """Position before the entries with `key`."""

    def right(self, key: K) -> int:
        """Position after the entries with `key`."""

    def spans(self, keys: Sequence[K]) -> tuple[I64, I64]:
        """`left` and `right` of each of `keys`."""

    def picked(self, entries: I64) -> tuple[list[K], I64]:
        """The distinct keys of `entries`, ascending, and which one each entry has."""

    def kept(self, mask: Flags) -> Keys[K]:
        """Only the entries for which `mask`, bool [entries], is true."""

    def merged(self, added: Sequence[K]) -> tuple[Keys[K], I64]:
        """With `added`, which is sorted; and the positions, in the old entries,
        before which the added ones went."""


class NumberKeys(Generic[N]):
    """float64 or int64 keys: 8 bytes an entry."""

    def __init__(self, keys: NDArray[Any]) -> None:
        self.array = keys

    @classmethod
    def of_floats(cls, distinct: Sequence[float], counts: Sequence[int]) -> NumberKeys[float]:
        """float64 keys from sorted distinct ones and how many entries each has."""
        return NumberKeys(np.repeat(np.array(distinct, np.float64), counts))

    @classmethod
    def of_ints(cls, distinct: Sequence[int], counts: Sequence[int]) -> NumberKeys[int]:
        """int64 keys from sorted distinct ones and how many entries each has."""
        return NumberKeys(np.repeat(np.array(distinct, np.int64), counts))

    def __len__(self) -> int:
        return len(self.array)

    def distinct(self) -> list[N]:
        distinct: list[N] = np.unique(self.array).tolist()
        return distinct

    def left(self, key: N) -> int:
        return int(np.searchsorted(self.array, self.array.dtype.type(key), "left"))

    def right(self, key: N) -> int:
        return int(np.searchsorted(self.array, self.array.dtype.type(key), "right"))

    def spans(self, keys: Sequence[N]) -> tuple[I64, I64]:
        wanted = np.array(keys, dtype=self.array.dtype)
        return (
            np.searchsorted(self.array, wanted, "left"),
            np.searchsorted(self.array, wanted, "right"),
        )

    def picked(self, entries: I64) -> tuple[list[N], I64]:
        distinct, codes = np.unique(self.array[entries], return_inverse=True)
        return distinct.tolist(), codes.astype(np.int64)

    def kept(self, mask: Flags) -> NumberKeys[N]:
        return NumberKeys(self.array[mask])

    def merged(self, added: Sequence[N]) -> tuple[NumberKeys[N], I64]:
        new = np.array(added, dtype=self.array.dtype)
        positions = np.searchsorted(self.array, new, "right")
        return NumberKeys(np.insert(self.array, positions, new)), positions


class TextKeys:
    """UTF-8 keys: each distinct text once, in one run of bytes.

    `starts` is int64 [distinct + 1]: the entries of text i are
    starts[i]:starts[i + 1]; `offsets` is int64 [distinct + 1], in bytes. A
    distinct text costs its bytes and 16 more, an entry nothing.
    """

    def __init__(self, blob: bytes, offsets: I64, starts: I64) -> None:
        self.blob = blob
        self.offsets = offsets
        self.starts = starts
        self._folded: Run | None = None
        self._offset_view = memoryview(offsets.data)
        self._texts = range(len(offsets) - 1)
        # A search over all texts calls back into Python at each of its 20 steps;
        # over the sample first, at 5 of them.
        self._sample = [self._text(i) for i in range(0, len(offsets) - 1, _SAMPLE_STEP)]

    @classmethod
    def of(cls, distinct: Sequence[bytes], counts: Sequence[int]) -> TextKeys:
        """Keys from sorted distinct texts and how many entries each has."""
        lengths = np.fromiter((len(text) for text in distinct), np.int64, len(distinct))
        return cls(b"".join(distinct), _summed(lengths), _summed(np.array(counts, np.int64)))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def distinct(self) -> list[bytes]:
        return [self._text(i) for i in self._texts]

    def run(self, *, folded: bool) -> Run:
        """The distinct texts, ascending, or as they are without their case."""
        run = Run(self.blob, self.offsets)
        if not folded:
            return run
        if self._folded is None:  # two threads may both make it: they make the same
            self._folded = run.folded()
        return self._folded

    def left(self, key: bytes) -> int:
        return int(self.starts[self._find(key)])

    def right(self, key: bytes) -> int:
        at = self._find(key)
        return int(self.starts[at + (at < len(self._texts) and self._text(at) == key)])

    def spans(self, keys: Sequence[bytes]) -> tuple[I64, I64]:
        index, found = self._locate(sorted(keys))
        return self.starts[index], self.starts[index + found]

    def picked(self, entries: I64) -> tuple[list[bytes], I64]:
        texts = np.searchsorted(self.starts, entries, "right") - 1
        distinct, codes = np.unique(texts, return_inverse=True)
        return [self._text(i) for i in distinct.tolist()], codes.astype(np.int64)

    def kept(self, mask: Flags) -> TextKeys:
        if len(mask) == 0:
            return self
        counts = np.add.reduceat(mask, self.starts[:-1], dtype=np.int64)
        keep = counts > 0
        lengths = np.diff(self.offsets)
        octets = np.frombuffer(self.blob, np.uint8)[np.repeat(keep, lengths)]
        return TextKeys(octets.tobytes(), _summed(lengths[keep]), _summed(counts[keep]))

    def merged(self, added: Sequence[bytes]) -> tuple[TextKeys, I64]:
        """As of the protocol: about 5 us for each of `added`, and one copy of the rest."""
        index, found = self._locate(added)
        positions = self.starts[index + found]
        counts = np.diff(self.starts)
        np.add.at(counts, index[found], 1)
        new: dict[bytes, int] = {}
        at_new: list[int] = []
        for key, at, known in zip(added, index.tolist(), found.tolist(), strict=True):
            if not known:
                if key not in new:
                    at_new.append(at)
                new[key] = new.get(key, 0) + 1
        places = np.array(at_new, np.int64)
        lengths = np.fromiter((len(key) for key in new), np.int64, len(new))
        octets = np.insert(
            np.frombuffer(self.blob, np.uint8),
            np.repeat(self.offsets[places], lengths),
            np.frombuffer(b"".join(new), np.uint8),
        )
        return TextKeys(
            octets.tobytes(),
            _summed(np.insert(np.diff(self.offsets), places, lengths)),
            _summed(np.insert(counts, places, np.array(list(new.values()), np.int64))),
        ), positions

    def _locate(self, keys: Sequence[bytes]) -> tuple[I64, Flags]:
        """Where each of `keys`, sorted, stands or would stand among the distinct texts."""
        index = np.empty(len(keys), np.int64)
        found = np.zeros(len(keys), np.bool_)
        distinct = len(self._texts)
        for i, key in enumerate(keys):
            at = self._find(key)
            index[i] = at
            found[i] = at < distinct and self._text(at) == key
        return index, found

    def _find(self, key: bytes) -> int:
        """Position among the distinct texts of the first that is not less than `key`."""
        block = bisect_left(self._sample, key) * _SAMPLE_STEP
        low = max(0, block - _SAMPLE_STEP)
        return bisect_left(self._texts, key, low, min(block, len(self._texts)), key=self._text)

    def _text(self, index: int) -> bytes:
        return self.blob[self._offset_view[index] : self._offset_view[index + 1]]


def _summed(counts: I64) -> I64:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))
