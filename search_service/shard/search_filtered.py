"""Finds the best rows that meet a filter, by the graphs: walking, or comparing all matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lookalike.wire.vectors import F32
from search_service.compiled.arrays import Flags
from search_service.shard.candidates import LEAST, Candidates
from search_service.shard.lanes import Lanes
from search_service.shard.memory import Snapshot
from search_service.shard.sealed import Sealed
from search_service.shard.search import Part, found, graphs_of, scan_flat
from search_service.shard.segment_api import I64

# Rows that a scan re-ranks at a time: their numbers and scores take 3 MiB.
ROWS_AT_A_TIME = 1 << 18


@dataclass(frozen=True, slots=True)
class Walk:
    """Bounds of a walk: see `SegmentApi.wanted_candidates`."""

    patience: int
    most: int


@dataclass(frozen=True, slots=True)
class Scan:
    """All matches are compared in the graph's form, the best `count` of them exactly."""

    count: int


Way = Walk | Scan


def search_filtered(
    snapshot: Snapshot,
    queries: F32,
    *,
    count: int,
    expansion: int,
    allowed: Flags,
    ways: Mapping[Sealed, Way],
    fallback: Scan,
    lanes: Lanes,
    into: Candidates,
) -> Flags:
    """Search graphs for allowed ordinals, each in its way, and what has no graph.

    A graph that `ways` does not name has no match. Where a walk is given up, that graph
    is scanned for that query. Returns bool [B]: the queries for which that happened.
    """
    walks = {sealed: way for sealed, way in ways.items() if isinstance(way, Walk)}
    given_up = {sealed: np.zeros(len(queries), dtype=np.bool_) for sealed in walks}

    def walk(part: Part) -> I64:
        way = walks[part.sealed]
        wanted = part.sealed.wanted(snapshot.died_at, snapshot.epoch, allowed)
        nodes, ended = part.sealed.segment.wanted_candidates(
            queries[part.span], count, expansion, wanted, way.patience, way.most
        )
        given_up[part.sealed][part.span] = ~ended
        return nodes

    for sealed, nodes, scores in found(list(walks), queries, walk, lanes):
        scores[given_up[sealed]] = LEAST  # they are found again below
        into.take_each(sealed, nodes, scores)
    for sealed in graphs_of(snapshot):
        way = ways.get(sealed)
        if isinstance(way, Scan):
            _scan(snapshot, sealed, queries, np.arange(len(queries)), way, allowed, lanes, into)
        elif way is not None and (short := np.flatnonzero(given_up[sealed])).size:
            _scan(snapshot, sealed, queries, short, fallback, allowed, lanes, into)
    scan_flat(snapshot, queries, allowed, lanes, into)
    some: Flags = np.zeros(len(queries), dtype=np.bool_)
    for flags in given_up.values():
        some |= flags
    return some


def _scan(
    snapshot: Snapshot,
    sealed: Sealed,
    queries: F32,
    numbers: I64,
    scan: Scan,
    allowed: Flags,
    lanes: Lanes,
    into: Candidates,
) -> None:
    """Compare the matches of one graph with the queries `numbers`, int64 [n]."""
    counting = snapshot.alive(sealed.ordinals) & allowed[sealed.ordinals]
    matching = np.flatnonzero(sealed.any_of(counting))
    if not len(matching):
        return
    step = max(1, ROWS_AT_A_TIME // scan.count)
    for start in range(0, len(numbers), step):
        these = numbers[start : start + step]
        some = queries[these]

        def find(part: Part, some: F32 = some) -> I64:
            nodes = np.ascontiguousarray(matching[part.share :: part.shares])
            return sealed.segment.nearest_of(nodes, some[part.span], min(scan.count, len(nodes)))

        for _, nodes, scores in found([sealed], some, find, lanes, share_nodes=True):
            into.take_each(sealed, nodes, scores, these)
