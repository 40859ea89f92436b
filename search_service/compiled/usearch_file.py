"""Reads the links and the vectors of a graph file of usearch.

The form, as usearch 2.26 writes it, all little-endian: uint32 rows and bytes a row;
the encoded vectors; 64 bytes of head that begin with "usearch"; uint64 nodes, M, 2M,
highest level, entry; int16 level of each node; then each node: uint64 key, int16
level, and for each of its levels a uint32 count with room for 2M (level 0) or M
uint32 places. Places are in the order of insertion, keys are what they were added
under; here both become nodes, the keys.
"""

from __future__ import annotations

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from search_service.compiled.addresses import aligned
from search_service.compiled.jit import compiled
from search_service.compiled.walk import Links
from search_service.domain.arrays import I32, I64, U8

_MAGIC = b"usearch\x02\x00\x1a\x00"  # major, minor: 2.26
_HEAD_BYTES = 64
_SHAPE = struct.Struct("<II")
_COUNTS = struct.Struct("<QQQQQ")
TO_LINKS = 10
PLACES_A_PART = 65_536


class GraphParts(NamedTuple):
    """Encoded vectors, uint8 [N, width_bytes], by node, and the links between them."""

    codes: U8
    links: Links


class Layout(NamedTuple):
    """Where things are: `starts` and `levels`, int64 [N (+ 1)], by place."""

    nodes: int
    width_bytes: int
    connectivity: int
    base_connectivity: int
    top: int
    entry: int
    levels: I64
    starts: I64


class Upper(NamedTuple):
    """The levels above the lowest, as in `Links`, not filled yet.

    `level_of`, int64 [N], by node; `rows`, int64 [N], of `above`, by place.
    """

    first: I32
    above: I32
    level_of: I64
    rows: I64


def read_graph(data: U8) -> GraphParts:
    """Copy the parts out of the bytes of a file, whose checksum has been checked.

    Raises:
        ValueError: it is not such a file, or says what cannot be.
    """
    layout = layout_of(data)
    near = aligned((layout.nodes, layout.base_connectivity), np.int32)
    codes = aligned((layout.nodes, layout.width_bytes), np.uint8)
    keys = keys_of(data, layout)
    upper = upper_levels(layout, keys)

    def copy(begin: int) -> bool:
        end = min(begin + PLACES_A_PART, layout.nodes)
        return _copy_nodes(data, layout.starts, begin, end, keys, upper, near, codes)

    # Most of what a start takes, and limited by one core.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        if not all(pool.map(copy, range(0, layout.nodes, PLACES_A_PART))):
            raise ValueError("it links nodes that there are not")
    entry = int(keys[layout.entry]) if layout.nodes else 0
    return GraphParts(codes, Links(near, upper.first, upper.above, entry, layout.top))


def add_links(path: Path, links: I64) -> None:
    """Add links, int64 [n, 2] from and to nodes, on the lowest level; the caller syncs.

    Raises:
        ValueError: it is no graph, or a node has no room for another link.
    """
    if not len(links):
        return
    data = np.memmap(path, dtype=np.uint8, mode="r+")
    layout = layout_of(data)
    keys = keys_of(data, layout)
    place_of = np.empty(layout.nodes, dtype=np.int64)
    place_of[keys] = np.arange(layout.nodes)
    for host, node in place_of[links].tolist():
        at = int(layout.starts[host]) + TO_LINKS
        count = int(data[at : at + 4].view("<u4")[0])
        if count >= layout.base_connectivity:
            raise ValueError(f"node {keys[host]} has no room for another link")
        free = at + 4 + 4 * count
        data[free : free + 4].view("<u4")[0] = node
        data[at : at + 4].view("<u4")[0] = count + 1
    data.flush()


def layout_of(data: U8) -> Layout:
    """Return where things are in the bytes of a file.

    Raises:
        ValueError: it is not such a file, or its counts cannot be.
    """
    if len(data) < _SHAPE.size:
        raise ValueError("not a graph of usearch 2.26")
    rows, width_bytes = _SHAPE.unpack_from(data.data, 0)
    head = _SHAPE.size + rows * width_bytes
    counts_at = head + _HEAD_BYTES
    levels_at = counts_at + _COUNTS.size
    if len(data) < levels_at or bytes(data[head : head + len(_MAGIC)]) != _MAGIC:
        raise ValueError("not a graph of usearch 2.26")
    nodes, connectivity, base_connectivity, top, entry = _COUNTS.unpack_from(data.data, counts_at)
    if nodes != rows or entry >= max(nodes, 1) or len(data) < levels_at + 2 * nodes:
        raise ValueError("its counts do not fit each other")
    levels = data[levels_at : levels_at + 2 * nodes].copy().view("<i2").astype(np.int64)
    sizes = TO_LINKS + 4 + 4 * base_connectivity + levels * (4 + 4 * connectivity)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64) + levels_at + 2 * nodes
    if levels.min(initial=0) < 0 or levels.max(initial=0) > top or starts[-1] != len(data):
        raise ValueError("its levels do not fit its size")
    if nodes and levels[entry] != top:
        raise ValueError("it begins below its highest level")
    return Layout(nodes, width_bytes, connectivity, base_connectivity, top, entry, levels, starts)


def keys_of(data: U8, layout: Layout) -> I64:
    """Return the node of each place, int64 [N].

    Raises:
        ValueError: there is one that is no node, or that is there twice.
    """
    keys = np.empty(layout.nodes, dtype=np.int64)
    if not _copy_keys(data, layout.starts, keys):
        raise ValueError("its keys are no nodes")
    return keys


def upper_levels(layout: Layout, keys: I64) -> Upper:
    """Return room for the links of the upper levels."""
    first = np.full(layout.nodes, -1, dtype=np.int32)
    above = np.full((int(layout.levels.sum()), layout.connectivity), -1, dtype=np.int32)
    level_of = np.empty(layout.nodes, dtype=np.int64)
    level_of[keys] = layout.levels
    rows = np.cumsum(layout.levels) - layout.levels
    first[keys] = np.where(layout.levels > 0, rows, -1)
    return Upper(first, above, level_of, rows)


@compiled
def word_at(data: U8, at: int) -> int:
    """Read a uint32."""
    return (
        int(data[at]) | int(data[at + 1]) << 8 | int(data[at + 2]) << 16 | int(data[at + 3]) << 24
    )


@compiled
def copy_links(data: U8, at: int, keys: I64, out: I32) -> bool:
    """Copy a count and its places as nodes, then -1."""
    count = word_at(data, at)
    if count > len(out):
        return False
    for place in range(count):
        other = word_at(data, at + 4 + 4 * place)
        if other >= len(keys):
            return False
        out[place] = keys[other]
    out[count:] = -1
    return True


@compiled
def _copy_keys(data: U8, starts: I64, keys: I64) -> bool:
    """Fill `keys`; False where one is no node, or one is there twice."""
    known = np.zeros(len(keys), dtype=np.bool_)
    for place in range(len(keys)):
        key = word_at(data, starts[place])
        if key >= len(keys) or word_at(data, starts[place] + 4) or known[key]:
            return False
        known[key] = True
        keys[place] = key
    return True


@compiled
def copy_upper(data: U8, at: int, place: int, keys: I64, upper: Upper) -> bool:
    """Copy the links of the upper levels of one node; False as `_copy_nodes`."""
    row = upper.rows[place]
    for level in range(1, upper.level_of[keys[place]] + 1):
        if not copy_links(data, at, keys, upper.above[row]):
            return False
        for link in upper.above[row]:
            if link >= 0 and upper.level_of[link] < level:
                return False
        at += 4 + 4 * upper.above.shape[1]
        row += 1
    return True


@compiled
def _copy_nodes(
    data: U8,
    starts: I64,
    begin: int,
    end: int,
    keys: I64,
    upper: Upper,
    near: I32,
    codes: U8,
) -> bool:
    """Fill the arrays for the places from `begin` to `end`.

    False where a link names what is not there, or not on its level.
    """
    for place in range(begin, end):
        node, at = keys[place], starts[place] + TO_LINKS
        vector = 8 + place * codes.shape[1]
        codes[node] = data[vector : vector + codes.shape[1]]
        if not copy_links(data, at, keys, near[node]):
            return False
        if not copy_upper(data, at + 4 + 4 * near.shape[1], place, keys, upper):
            return False
    return True


def compile_reader() -> None:
    """Have the loops of this module compiled."""
    longs, words = np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.int32)
    data = np.zeros(8, dtype=np.uint8)
    codes = np.zeros((0, 1), dtype=np.uint8)
    _copy_keys(data, longs, longs)
    upper = Upper(words[:, 0].copy(), words, longs, longs)
    _copy_nodes(data, longs, 0, 0, longs, upper, words, codes)
