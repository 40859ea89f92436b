"""Which way a group of queries is answered, and the answering."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lookalike.wire.vectors import F32
from search_service.shard.candidates import MARGIN, Candidates, Ranked
from search_service.shard.lanes import Lanes
from search_service.shard.memory import Snapshot
from search_service.shard.sealed import Flags
from search_service.shard.search import scan_all, scan_matches, search_graphs
from search_service.shard.segment_api import I64
from search_service.shard.types import PlanKind

# Matches up to here are gathered and compared: 10,000 x 512 is 20 MB, about as
# long as ten graph searches, and exact.
MAX_GATHERED = 10_000
# Below this share of matches a graph search over-fetches more than a scan costs.
LEAST_GRAPH_SHARE = 0.01
# Past this many candidates a query, or this share of the nodes, a scan is cheaper.
MAX_FETCH = 4_096
MAX_FETCH_SHARE = 0.05
# Candidates fetched beyond what is asked for, so that exact re-ranking can give
# back what a short or quantised form of the vectors lost.
OVERFETCH = 3.0
OVERFETCH_MORE = 32
# With a filter the wanted rows lie deeper, where the reduced form orders worse: of
# 50,000 x 512, a random third, 2.0 and the plain expansion gave recall@10 .982
# where the whole gave .994. Half of four times as many are sure to hold enough: a
# random filter leaves fewer than 10 of 20 once in 200 queries.
FILTERED_OVERFETCH = 4.0
MOST_EXPANSION = 4_096


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
    into = Candidates(task.queries, task.count, task.floor)
    expansion = max(_expansion(snapshot, task), fetch)
    allowed = task.matches.allowed if task.matches else None
    search_graphs(
        snapshot,
        task.queries,
        count=fetch,
        expansion=expansion,
        allowed=allowed,
        lanes=lanes,
        into=into,
    )
    kind = PlanKind.GRAPH if task.matches is None else PlanKind.GRAPH_FILTERED
    found = Answer(
        into.rank(snapshot, allowed), (kind,) * len(task.queries), into.compared, expansion
    )
    wanted = min(task.count, _matching(snapshot, task))
    # Nothing above the floor is unseen where the graphs reached down to it.
    open_below = into.radius > task.floor
    short = np.flatnonzero((_certain(found.ranked, into.radius) < wanted) & open_below)
    return _with_scans(snapshot, task, found, short, lanes) if len(short) else found


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
    """Return how many candidates to ask each graph for; None: scan instead."""
    graphs = [sealed for sealed in snapshot.sealed if sealed.segment.has_graph]
    nodes = sum(sealed.nodes for sealed in graphs)
    if task.exact or not nodes:
        return None
    matching = _matching(snapshot, task)
    share = matching / max(1, snapshot.items)
    if task.matches is not None and (matching <= MAX_GATHERED or share < LEAST_GRAPH_SHARE):
        return None
    # Items in the head hide dead nodes here; the fallback is there for what is left.
    live = min(1.0, snapshot.items / sum(len(sealed.ordinals) for sealed in graphs))
    overfetch = OVERFETCH if task.matches is None else FILTERED_OVERFETCH
    fetch = int(task.count * overfetch / (share * live)) + OVERFETCH_MORE
    return fetch if fetch <= min(MAX_FETCH, MAX_FETCH_SHARE * nodes) else None


def _expansion(snapshot: Snapshot, task: Task) -> int:
    """Return the search expansion: the k-th match is the k/share-th of all rows."""
    if task.matches is None:
        return task.expansion
    share = max(1, _matching(snapshot, task)) / max(1, snapshot.items)
    return max(task.expansion, min(MOST_EXPANSION, int(task.expansion / share**0.5)))


def _certain(ranked: Ranked, radius: F32) -> I64:
    """Count each query's rows, int64 [B], that no unseen row can stand before.

    Those that stand lower may be all that was left of a filter that keeps what is
    far from the query: rows of the side list or the head, with better ones unseen.
    """
    near = ranked.score >= radius[ranked.query] - MARGIN
    return np.bincount(ranked.query[near], minlength=len(radius))


def _matching(snapshot: Snapshot, task: Task) -> int:
    return snapshot.items if task.matches is None else len(task.matches.ordinals)


def _with_scans(snapshot: Snapshot, task: Task, found: Answer, short: I64, lanes: Lanes) -> Answer:
    """Replace the answers of the queries `short`, int64 [n], by scans."""
    part = replace(task, queries=task.queries[short], floor=task.floor[short])
    scanned = _scan(snapshot, part, lanes)
    kept = ~np.isin(found.ranked.query, short)
    query = np.concatenate([found.ranked.query[kept], short[scanned.ranked.query]])
    order = np.argsort(query, kind="stable")
    ranked = Ranked(
        query[order],
        np.concatenate([found.ranked.ordinal[kept], scanned.ranked.ordinal])[order],
        np.concatenate([found.ranked.score[kept], scanned.ranked.score])[order],
    )
    kinds = list(found.kinds)
    for index in short:
        kinds[index] = PlanKind.EXACT_FALLBACK
    return Answer(ranked, tuple(kinds), max(found.candidates, scanned.candidates), found.expansion)
