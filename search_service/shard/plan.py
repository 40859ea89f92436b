"""Which way a group of queries is answered, and the answering."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lookalike.wire.vectors import F32
from search_service.compiled.arrays import Flags
from search_service.shard.candidates import MARGIN, Candidates, Ranked
from search_service.shard.lanes import Lanes
from search_service.shard.memory import Snapshot
from search_service.shard.search import (
    scan_all,
    scan_compact,
    scan_matches,
    search_graphs,
    search_graphs_filtered,
)
from search_service.shard.segment_api import I64
from search_service.shard.types import PlanKind

# Matches up to here are compared in float32, exactly: 4,096 x 512 is 8 MB, less than a
# millisecond.
MAX_GATHERED = 4_096
# Past this many candidates a query, or this share of the nodes, a scan is cheaper.
MAX_FETCH = 4_096
MAX_FETCH_SHARE = 0.05
# Candidates fetched beyond what is asked for, so that exact re-ranking can give
# back what a short or quantised form of the vectors lost.
OVERFETCH = 3.0
OVERFETCH_MORE = 32
# A walk that keeps `expansion` nodes compares about 21 times as many (of 200,000 nodes
# with 32 links), and when a filter keeps a share of them, the more: one over the share.
# A comparison costs it three times what it costs a scan, which goes through the memory.
WALK_COST = 63
# A walk may compare this share of the matches before they are scanned: a filter that
# keeps what is far from the query sends it through all that is near.
MOST_WALK_SHARE = 0.5
MOST_WALK_MORE = 8_192


@dataclass(frozen=True, slots=True)
class Matches:
    """What meets a filter: live ordinals int64 [m] ascending, and as flags."""

    ordinals: I64
    allowed: Flags


@dataclass(frozen=True, slots=True)
class Task:
    """Queries that are answered by one call: float32 [B, D], floors float32 [B]."""

    queries: F32
    floor: F32
    count: int
    exact: bool
    expansion: int
    matches: Matches | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Ranked rows of all queries, and how each was found."""

    ranked: Ranked
    kinds: tuple[PlanKind, ...]
    candidates: int
    expansion: int


def answer(snapshot: Snapshot, task: Task, lanes: Lanes) -> Answer:
    """Answer a task with the cheapest plan that is right for it."""
    fetch = _graph_fetch(snapshot, task)
    if fetch is None:
        return _scan(snapshot, task, lanes)
    if task.matches is None:
        return _walk(snapshot, task, fetch, lanes)
    share = len(task.matches.ordinals) / max(1, snapshot.items)
    if WALK_COST * max(task.expansion, fetch) / share > len(task.matches.ordinals):
        return _scan_compact(snapshot, task, PlanKind.COMPACT_FILTERED, lanes)
    return _walk_filtered(snapshot, task, task.matches, fetch, lanes)


def _walk(snapshot: Snapshot, task: Task, fetch: int, lanes: Lanes) -> Answer:
    into = Candidates(task.queries, task.count, task.floor)
    expansion = max(task.expansion, fetch)
    search_graphs(snapshot, task.queries, count=fetch, expansion=expansion, lanes=lanes, into=into)
    found = _answer(snapshot, task, into, PlanKind.GRAPH, expansion)
    wanted = min(task.count, snapshot.items)
    # Nothing above the floor is unseen where the graphs reached down to it.
    open_below = into.radius > task.floor
    short = np.flatnonzero((_certain(found.ranked, into.radius) < wanted) & open_below)
    if not len(short):
        return found
    return _replaced(found, short, _scan(snapshot, _part(task, short), lanes))


def _walk_filtered(
    snapshot: Snapshot, task: Task, matches: Matches, fetch: int, lanes: Lanes
) -> Answer:
    into = Candidates(task.queries, task.count, task.floor)
    expansion = max(task.expansion, fetch)
    full = search_graphs_filtered(
        snapshot,
        task.queries,
        count=fetch,
        expansion=expansion,
        allowed=matches.allowed,
        most=int(MOST_WALK_SHARE * len(matches.ordinals)) + MOST_WALK_MORE,
        lanes=lanes,
        into=into,
    )
    found = _answer(snapshot, task, into, PlanKind.GRAPH_FILTERED, expansion)
    short = np.flatnonzero(~full)
    if not len(short):
        return found
    part = _part(task, short)
    return _replaced(found, short, _scan_compact(snapshot, part, PlanKind.COMPACT_FALLBACK, lanes))


def _scan_compact(snapshot: Snapshot, task: Task, kind: PlanKind, lanes: Lanes) -> Answer:
    assert task.matches is not None, "only for filters"
    into = Candidates(task.queries, task.count, task.floor)
    scan_compact(
        snapshot,
        task.queries,
        count=_fetch(task.count),
        allowed=task.matches.allowed,
        lanes=lanes,
        into=into,
    )
    return _answer(snapshot, task, into, kind, 0)


def _answer(
    snapshot: Snapshot, task: Task, into: Candidates, kind: PlanKind, expansion: int
) -> Answer:
    allowed = task.matches.allowed if task.matches else None
    ranked = into.rank(snapshot, allowed)
    return Answer(ranked, (kind,) * len(task.queries), into.compared, expansion)


def _scan(snapshot: Snapshot, task: Task, lanes: Lanes) -> Answer:
    into = Candidates(task.queries, task.count, task.floor)
    if task.matches is None:
        scan_all(snapshot, task.queries, lanes, into)
        ranked, kind = into.rank(snapshot, None), PlanKind.EXACT
    else:
        matches = task.matches
        scan_matches(snapshot, task.queries, matches.ordinals, matches.allowed, lanes, into)
        ranked, kind = into.rank(snapshot, task.matches.allowed), PlanKind.EXACT_FILTERED
    return Answer(ranked, (kind,) * len(task.queries), into.compared, 0)


def _graph_fetch(snapshot: Snapshot, task: Task) -> int | None:
    """Return how many candidates to ask each graph for; None: compare all exactly."""
    graphs = [sealed for sealed in snapshot.sealed if sealed.segment.has_graph]
    nodes = sum(sealed.nodes for sealed in graphs)
    if task.exact or not nodes:
        return None
    if task.matches is not None:
        fetch = _fetch(task.count)
        few = len(task.matches.ordinals) <= max(MAX_GATHERED, fetch)
    else:
        # Items in the head hide dead nodes here; the fallback is there for what is left.
        live = min(1.0, snapshot.items / sum(len(sealed.ordinals) for sealed in graphs))
        fetch = int(_fetch(task.count) / live)
        few = False
    return None if few or fetch > min(MAX_FETCH, MAX_FETCH_SHARE * nodes) else fetch


def _fetch(count: int) -> int:
    return int(count * OVERFETCH) + OVERFETCH_MORE


def _certain(ranked: Ranked, radius: F32) -> I64:
    """Count each query's rows, int64 [B], that no unseen row can stand before.

    Those that stand lower may be all that is live among what the graph found.
    """
    near = ranked.score >= radius[ranked.query] - MARGIN
    return np.bincount(ranked.query[near], minlength=len(radius))


def _part(task: Task, numbers: I64) -> Task:
    return replace(task, queries=task.queries[numbers], floor=task.floor[numbers])


def _replaced(found: Answer, short: I64, scanned: Answer) -> Answer:
    """Put the answers of a scan in the place of those of the queries `short`, int64 [n]."""
    kept = ~np.isin(found.ranked.query, short)
    query = np.concatenate([found.ranked.query[kept], short[scanned.ranked.query]])
    order = np.argsort(query, kind="stable")
    ranked = Ranked(
        query[order],
        np.concatenate([found.ranked.ordinal[kept], scanned.ranked.ordinal])[order],
        np.concatenate([found.ranked.score[kept], scanned.ranked.score])[order],
    )
    kinds = list(found.kinds)
    for index, kind in zip(short.tolist(), scanned.kinds, strict=True):
        kinds[index] = PlanKind.EXACT_FALLBACK if kind is PlanKind.EXACT else kind
    return Answer(ranked, tuple(kinds), max(found.candidates, scanned.candidates), found.expansion)
