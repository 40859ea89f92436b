"""Finds the best rows that meet a filter, by the graphs: walking, or comparing all matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from search_service.domain.arrays import F32, I64, Flags
from search_service.shard.live.memory import LiveView
from search_service.shard.live.sealed import Sealed
from search_service.shard.search.candidates import LEAST, Candidates
from search_service.shard.search.compact import Scan, scan_compact
from search_service.shard.search.parts import Part, search_parts
from search_service.shard.search.scan_pool import ScanPool
from search_service.shard.search.search import graphs_of, scan_flat


@dataclass(frozen=True, slots=True)
class Walk:
    """Bounds of a walk: see `SegmentApi.wanted_candidates`."""

    patience: int
    most: int


Way = Walk | Scan


def search_filtered(
    snapshot: LiveView,
    queries: F32,
    *,
    count: int,
    expansion: int,
    allowed: Flags,
    ways: Mapping[Sealed, Way],
    scan: Scan,
    fallback: Scan,
    lanes: ScanPool,
    into: Candidates,
) -> Flags:
    """Search graphs for allowed ordinals, each in its way, and what has no graph.

    A graph that `ways` does not name has no match. Where a walk is given up, that graph
    is scanned for that query, by `fallback`; what has no graph, by `scan`. Returns
    bool [B]: the queries for which a walk was given up.
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

    for sealed, nodes, scores in search_parts(list(walks), queries, walk, lanes):
        scores[given_up[sealed]] = LEAST  # they are found again below
        into.take_each(sealed, nodes, scores)
    for sealed in graphs_of(snapshot):
        way = ways.get(sealed)
        if isinstance(way, Scan):
            scan_compact(
                snapshot, [sealed], queries, np.arange(len(queries)), way, allowed, lanes, into
            )
        elif way is not None and (short := np.flatnonzero(given_up[sealed])).size:
            scan_compact(snapshot, [sealed], queries, short, fallback, allowed, lanes, into)
    scan_flat(snapshot, queries, scan, allowed, lanes, into)
    some: Flags = np.zeros(len(queries), dtype=np.bool_)
    for flags in given_up.values():
        some |= flags
    return some
