"""The PDQ hashes of the items of a collection, kept in step with it.

They are read from the store on the first use after a start, and from then on only of what
has come since: ordinals grow and are never used again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_service.banks.facts import seen_in
from search_service.banks.matrix import HashMatrix
from search_service.domain.arrays import I64, Flags
from search_service.shard.api import ShardApi

# Facts hold 0.2 to 4 KB each.
_ROWS_PER_READ = 2_000
# Hashes of deleted items are left out once there are more of them than of living ones.
_LEAST_CLEANED = 10_000


@dataclass(frozen=True, slots=True)
class ItemHash:
    """An item whose hash is near."""

    id: str
    distance: int


@dataclass(frozen=True, slots=True)
class HashCounts:
    """Of the items: with a hash that is matched, with one of too low a quality, without."""

    matched: int
    low_quality: int
    without: int


class ItemHashes:
    """Used from several threads; every method may read from the disk."""

    def __init__(self, shard: ShardApi) -> None:
        self._shard = shard
        self._lock = threading.Lock()
        self._newest = 0
        self._matrix = HashMatrix.empty()
        # Ordinals, ascending: of the matrix's columns, of low quality, and without a hash.
        self._matched = self._low = self._without = np.empty(0, dtype=np.int64)

    def near(
        self, hash: bytes, most: int, limit: int, *, without: str = "", among: I64 | None = None
    ) -> list[ItemHash]:
        """Return the `limit` nearest items within `most` bits, by distance, then id.

        Not the item `without`, and only those of `among`, ordinals ascending.
        """
        matrix, ordinals = self._read_on()
        places, distances = matrix.near(hash, most)
        found = ordinals[places]
        if among is not None:
            kept = np.isin(found, among, assume_unique=True)
            found, distances = found[kept], distances[kept]
        near = [
            ItemHash(id, bits)
            for id, bits in zip(self._shard.ids_of(found), distances.tolist(), strict=True)
            if id is not None and id != without
        ]
        return sorted(near, key=lambda each: (each.distance, each.id))[:limit]

    @property
    def size(self) -> int:
        """How many items are remembered, deleted ones among them."""
        return len(self._matched) + len(self._low) + len(self._without)

    def counts(self) -> HashCounts:
        """Count the items."""
        self._read_on()
        with self._lock:
            groups = (self._matched, self._low, self._without)
        return HashCounts(*(int(self._lives(each).sum()) for each in groups))

    def some_without(self) -> bool:
        """Say whether an item has no hash."""
        with self._lock:
            # Most have one, or most have none: the newest tell at once.
            while len(self._without):
                newest = self._without[-64:]
                if self._lives(newest).any():
                    return True
                self._without = self._without[: -len(newest)]
            return False

    def _read_on(self) -> tuple[HashMatrix, I64]:
        """Read what has come since; return the hashes and the ordinals of the columns."""
        with self._lock:
            while rows := self._shard.facts_after(self._newest, _ROWS_PER_READ):
                self._take(rows)
                if len(rows) < _ROWS_PER_READ:
                    break
            return self._matrix, self._matched

    def _take(self, rows: Sequence[tuple[int, bytes]]) -> None:
        hashes: list[bytes] = []
        matched: list[int] = []
        low: list[int] = []
        without: list[int] = []
        for ordinal, facts in rows:
            seen = seen_in(facts)
            if seen.matched:
                hashes.append(seen.hash)
                matched.append(ordinal)
            else:
                (low if seen.hash else without).append(ordinal)
        self._matrix = self._matrix.extended(hashes)
        self._matched = _with(self._matched, matched)
        self._low = _with(self._low, low)
        self._without = _with(self._without, without)
        self._newest = rows[-1][0]
        if self.size > 2 * self._shard.count(None) + _LEAST_CLEANED:
            self._clean()

    def _clean(self) -> None:
        """Leave out what is deleted."""
        lives = self._lives(self._matched)
        self._matrix = self._matrix.chosen(np.flatnonzero(lives))
        self._matched = self._matched[lives]
        self._low = self._low[self._lives(self._low)]
        self._without = self._without[self._lives(self._without)]

    def _lives(self, ordinals: I64) -> Flags:
        ids = self._shard.ids_of(ordinals)
        return np.fromiter((id is not None for id in ids), dtype=np.bool_, count=len(ids))


def _with(ordinals: I64, more: Sequence[int]) -> I64:
    return np.concatenate([ordinals, np.array(more, dtype=np.int64)])
