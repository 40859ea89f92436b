"""Links in as few bits as the number of nodes takes, without room for more.

A graph has room for 2M links a node, of which about half is used, and 32 bits for each,
where a million nodes need 20.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from search_service.compiled.addresses import aligned
from search_service.compiled.intrinsics import prefetch
from search_service.compiled.jit import inlined
from search_service.domain.arrays import I32, I64, U32, U64

# A node of 16 links on average, of 20 bits each, has its links in one line or two.
_BYTES_FETCHED = 64


class Packed(NamedTuple):
    """Node n has the links `starts[n]` to `starts[n + 1]`, uint32 [N + 1].

    Link i is in the bits `i * bits` to `(i + 1) * bits` of `words`, uint64, the lowest
    first. `bits` 0: nothing is packed.
    """

    bits: int
    starts: U32
    words: U64


NOT_PACKED = Packed(0, np.zeros(1, dtype=np.uint32), np.zeros(1, dtype=np.uint64))


@inlined
def unpack(packed: Packed, node: int, out: I32) -> I32:
    """Return the links of a node, int32, in the beginning of `out`, which has room."""
    first, last = int(packed.starts[node]), int(packed.starts[node + 1])
    mask = (np.uint64(1) << np.uint64(packed.bits)) - np.uint64(1)
    at = first * packed.bits
    for place in range(last - first):
        word, shift = at >> 6, np.uint64(at & 63)
        # What of it is in the next word; a shift by 64 is none that there is.
        rest = (packed.words[word + 1] << np.uint64(1)) << (np.uint64(63) - shift)
        out[place] = np.int32(((packed.words[word] >> shift) | rest) & mask)
        at += packed.bits
    return out[: last - first]


@inlined
def fetch_packed(packed: Packed, node: int) -> None:
    """Ask for the links of a node."""
    address = packed.words.ctypes.data + ((int(packed.starts[node]) * packed.bits) >> 3)
    prefetch(address)
    prefetch(address + _BYTES_FETCHED)


def room_for(counts: I64) -> Packed:
    """Return links that are all 0, with room for those that will be written.

    Raises:
        ValueError: there are 2^32 links or more.
    """
    total = int(counts.sum())
    if total >= 1 << 32:
        raise ValueError(f"{total:,} links are more than can be packed")
    bits = max(1, (len(counts) - 1).bit_length())
    starts = np.zeros(len(counts) + 1, dtype=np.uint32)
    np.cumsum(counts, out=starts[1:])
    words = aligned((1, (total * bits + 63) // 64 + 1), np.uint64)[0]
    words[:] = 0
    return Packed(bits, starts, words)
