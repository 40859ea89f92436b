"""Reads a graph file of usearch into less memory: links packed, vectors as nibbles.

The file holds int8, by which links are made when the graph grows; what is searched
takes half of that. See `usearch_file.py` for the form of the file.
"""

from __future__ import annotations

import numpy as np

from search_service.compiled.addresses import aligned
from search_service.compiled.jit import compiled
from search_service.compiled.nibbles import STEPS
from search_service.compiled.packing import Packed, room_for
from search_service.compiled.usearch_file import (
    TO_LINKS,
    GraphParts,
    Upper,
    copy_links,
    copy_upper,
    keys_of,
    layout_of,
    upper_levels,
    word_at,
)
from search_service.compiled.walk import Links
from search_service.domain.arrays import I32, I64, U8


def read_packed_graph(data: U8) -> GraphParts:
    """Copy the parts out of the bytes of a file, whose checksum has been checked.

    Raises:
        ValueError: it is not such a file, or says what cannot be.
    """
    layout = layout_of(data)
    keys = keys_of(data, layout)
    upper = upper_levels(layout, keys)
    counts = np.zeros(layout.nodes, dtype=np.int64)
    if not _count_links(data, layout.starts, keys, layout.base_connectivity, counts):
        raise ValueError("it has more links than there is room for")
    packed = room_for(counts)
    codes = aligned((layout.nodes, (layout.width_bytes + 1) // 2), np.uint8)
    near = np.empty((0, layout.base_connectivity), dtype=np.int32)
    room = np.empty(layout.base_connectivity, dtype=np.int32)
    vectors = data[8 : 8 + layout.nodes * layout.width_bytes]
    if not _copy_packed(data, layout.starts, keys, upper, packed, room):
        raise ValueError("it links nodes that there are not")
    _copy_nibbles(vectors.reshape(layout.nodes, layout.width_bytes), keys, STEPS, codes)
    entry = int(keys[layout.entry]) if layout.nodes else 0
    return GraphParts(codes, Links(near, upper.first, upper.above, entry, layout.top, packed))


@compiled
def _count_links(data: U8, starts: I64, keys: I64, most: int, counts: I64) -> bool:
    """Fill `counts`, int64 [N], with how many links each node has on the lowest level."""
    for place in range(len(keys)):
        count = word_at(data, starts[place] + TO_LINKS)
        if count > most:
            return False
        counts[keys[place]] = count
    return True


@compiled
def _copy_packed(data: U8, starts: I64, keys: I64, upper: Upper, packed: Packed, room: I32) -> bool:
    """Fill `packed` and `upper`; False where a link names what is not there on its level.

    `room` is int32 [2M].
    """
    for place in range(len(keys)):
        at = starts[place] + TO_LINKS
        if not copy_links(data, at, keys, room):
            return False
        bit = int(packed.starts[keys[place]]) * packed.bits
        for link in room:
            if link < 0:
                break
            word, shift = bit >> 6, np.uint64(bit & 63)
            packed.words[word] |= np.uint64(link) << shift
            packed.words[word + 1] |= (np.uint64(link) >> np.uint64(1)) >> (np.uint64(63) - shift)
            bit += packed.bits
        if not copy_upper(data, at + 4 + 4 * len(room), place, keys, upper):
            return False
    return True


@compiled
def _copy_nibbles(vectors: U8, keys: I64, steps: U8, codes: U8) -> None:
    """Fill `codes`, uint8 [N, (width + 1) // 2], from int8 by place, as `as_nibbles` does."""
    width = vectors.shape[1]
    for place in range(len(keys)):
        node = keys[place]
        for pair in range(codes.shape[1]):
            low = steps[vectors[place, 2 * pair]]
            high = np.uint8(0)
            if 2 * pair + 1 < width:
                high = steps[vectors[place, 2 * pair + 1]]
            codes[node, pair] = low | (high << 4)


def compile_packed_reader() -> None:
    """Have the loops of this module compiled."""
    longs, words = np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.int32)
    data, codes = np.zeros(8, dtype=np.uint8), np.zeros((0, 1), dtype=np.uint8)
    upper = Upper(words[:, 0].copy(), words, longs, longs)
    _count_links(data, longs, longs, 0, longs)
    _copy_packed(data, longs, longs, upper, room_for(longs), words.reshape(-1))
    _copy_nibbles(codes, longs, STEPS, codes)
