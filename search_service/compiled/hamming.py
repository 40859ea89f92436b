"""Which of many 256-bit hashes are near one: all are compared."""

from __future__ import annotations

import numpy as np

from search_service.compiled.intrinsics import set_bits
from search_service.compiled.jit import compiled
from search_service.domain.arrays import I64, U64

# Distances of so many are counted before they are looked at: they stay in the nearest cache.
_BLOCK = 1_024


@compiled
def near_hashes(words: U64, count: int, asked: U64, most: int, places: I64, distances: I64) -> int:
    """Fill `places` with the hashes that differ from `asked` in at most `most` bits, ascending.

    `words` is uint64 [4, >= count], a hash in each column; `asked` uint64 [4]. `places`
    and `distances`, int64 [n], take the first n. Returns how many there are.
    """
    found = 0
    first, second, third, fourth = words[0], words[1], words[2], words[3]
    one, two, three, four = asked[0], asked[1], asked[2], asked[3]
    block = np.empty(_BLOCK, dtype=np.int64)
    for start in range(0, count, _BLOCK):
        length = min(_BLOCK, count - start)
        for step in range(length):
            place = start + step
            block[step] = (
                set_bits(first[place] ^ one)
                + set_bits(second[place] ^ two)
                + set_bits(third[place] ^ three)
                + set_bits(fourth[place] ^ four)
            )
        for step in range(length):
            if block[step] <= most:
                if found < len(places):
                    places[found] = start + step
                    distances[found] = block[step]
                found += 1
    return found
