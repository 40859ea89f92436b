"""Many 256-bit hashes in memory: all of them are compared with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_service.compiled.hamming import near_hashes
from search_service.domain.arrays import I64, U64

_WORDS = 4
# Hits that a search has room for at first; one that finds more is made again.
_FIRST_ROOM = 1_024


@dataclass(frozen=True, slots=True)
class HashMatrix:
    """`words` is uint64 [4, >= count], a hash in each column; it grows without changing others.

    A matrix that was handed out stays as it is.
    """

    words: U64
    count: int

    @classmethod
    def empty(cls) -> HashMatrix:
        """Return one without hashes."""
        return cls(np.zeros((_WORDS, 0), dtype=np.uint64), 0)

    def extended(self, hashes: Sequence[bytes]) -> HashMatrix:
        """Return this one with more hashes, 32 bytes each; only the newest may be extended."""
        count = self.count + len(hashes)
        words = self.words
        if count > words.shape[1]:
            words = np.zeros((_WORDS, max(count, 2 * self.count)), dtype=np.uint64)
            words[:, : self.count] = self.words[:, : self.count]
        words[:, self.count : count] = _columns(hashes)
        return HashMatrix(words, count)

    def chosen(self, places: I64) -> HashMatrix:
        """Return a matrix of the hashes at `places`, int64 [n]."""
        return HashMatrix(np.ascontiguousarray(self.words[:, places]), len(places))

    def hash_at(self, place: int) -> bytes:
        """Return a hash, 32 bytes."""
        return self.words[:, place].tobytes()

    def near(self, hash: bytes, most: int) -> tuple[I64, I64]:
        """Return places, ascending, and distances of all within `most` bits, int64 [n] each."""
        asked = _columns([hash])[:, 0]
        room = _FIRST_ROOM
        while True:
            places = np.empty(room, dtype=np.int64)
            distances = np.empty(room, dtype=np.int64)
            asked = np.ascontiguousarray(asked)
            found = near_hashes(self.words, self.count, asked, most, places, distances)
            if found <= room:
                return places[:found], distances[:found]
            room = found


def _columns(hashes: Sequence[bytes]) -> U64:
    """Return hashes as uint64 [4, n]."""
    read: U64 = np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, _WORDS)
    return np.ascontiguousarray(read.T)


def distance(one: bytes, other: bytes) -> int:
    """Return in how many bits two hashes differ."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
