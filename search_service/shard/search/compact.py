"""Compares rows in their compact form, and the best of them exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, I64, Flags
from search_service.shard.live.head import HeadView
from search_service.shard.live.memory import LiveView
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.candidates import Candidates
from search_service.shard.search.exact import scores_each
from search_service.shard.search.parts import Part, search_parts
from search_service.shard.search.scan_pool import ScanPool

# Rows re-ranked for each that is wanted, and besides.
_OVERFETCH = 16
_NEAR_OVERFETCH_MORE = 256
# Past a filter a scan meets what is far from a query too, where many lie at about the
# same distance and the compact form mistakes more of them: of 200,000, the farthest half
# and tenth, recall@10 was .93 with 3k + 32. Those that a walk gave up are such for certain.
_OVERFETCH_MORE = 1_024
_FALLBACK_OVERFETCH_MORE = 4_096
# Of so many rows in the head, those re-ranked are a small part; more queries than that
# share a product in float32.
_LEAST_HEAD_ROWS = 2_048
_MOST_HEAD_QUERIES = 16
# Rows that a scan re-ranks at a time: their numbers and scores take 3 MiB.
_ROWS_AT_A_TIME = 1 << 18


@dataclass(frozen=True, slots=True)
class Scan:
    """All that counts is compared in the compact form, the best `count` of it exactly."""

    count: int

    @staticmethod
    def of_all(count: int) -> Scan:
        """Return the scan that finds the best `count` of all that is there."""
        return Scan(count * _OVERFETCH + _NEAR_OVERFETCH_MORE)

    @staticmethod
    def of_matches(count: int) -> Scan:
        """Return the scan that finds the best `count` of what meets a filter."""
        return Scan(count * _OVERFETCH + _OVERFETCH_MORE)

    @staticmethod
    def after_walk(count: int) -> Scan:
        """Return the one for where a walk was given up."""
        return Scan(count * _OVERFETCH + _FALLBACK_OVERFETCH_MORE)


def scan_compact(
    snapshot: LiveView,
    segments: Sequence[Sealed],
    queries: F32,
    numbers: I64,
    scan: Scan,
    allowed: Flags | None,
    lanes: ScanPool,
    into: Candidates,
) -> None:
    """Compare the live, allowed rows of segments with the queries `numbers`, int64 [n]."""
    matching = {}
    for sealed in segments:
        counting = snapshot.alive(sealed.ordinals)
        if allowed is not None:
            counting &= allowed[sealed.ordinals]
        if len(nodes := np.flatnonzero(sealed.any_of(counting))):
            matching[sealed] = nodes
    if not matching:
        return
    step = max(1, _ROWS_AT_A_TIME // scan.count)
    for start in range(0, len(numbers), step):
        these = numbers[start : start + step]
        some = queries[these]

        def find(part: Part, some: F32 = some) -> I64:
            nodes = np.ascontiguousarray(matching[part.sealed][part.share :: part.shares])
            count = min(scan.count, len(nodes))
            return part.sealed.segment.nearest_of(nodes, some[part.span], count)

        for sealed, nodes, scores in search_parts(
            list(matching), some, find, lanes, share_nodes=True
        ):
            into.take_each(sealed, nodes, scores, these)


def scan_head_compact(
    snapshot: LiveView,
    queries: F32,
    scan: Scan,
    allowed: Flags | None,
    lanes: ScanPool,
    into: Candidates,
) -> tuple[HeadView, ...]:
    """Compare the live, allowed rows of the head; return those views that it did not settle.

    They have no compact form, or more rows at one score than were re-ranked.
    """
    if len(queries) > _MOST_HEAD_QUERIES:
        return snapshot.head
    codecs = {view.coded.codec for view in snapshot.head if view.coded is not None}
    encoded = {codec: codec.encode(queries) for codec in codecs}

    def compare(view: HeadView) -> tuple[I64, F32] | None:
        counting = snapshot.alive(view.ordinals)
        if allowed is not None:
            counting &= allowed[view.ordinals]
        nodes = np.flatnonzero(counting)
        if view.coded is None or len(nodes) < max(_LEAST_HEAD_ROWS, 2 * scan.count):
            return None
        codec, codes = view.coded.codec, view.coded.codes
        best = codec.nearest_of(codes, nodes, encoded[codec], scan.count)
        scores = scores_each(view.rows, best, queries)
        return None if into.may_lack(scores) else (best, scores)

    # What one query compares takes about as long as to hand it over.
    spread = map if len(queries) == 1 else lanes.map
    left: list[HeadView] = []
    for view, done in zip(snapshot.head, spread(compare, snapshot.head), strict=True):
        if done is None:
            left.append(view)
        else:
            into.take_each(view, *done)
    return tuple(left)
